"""Every change is audited with its actor and channel. A mutating route without a row here fails."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import Actor, Role, Subject
from models.domain.errors import Declined
from models.domain.messages import Channel
from models.tables.audit import AuditEvent
from tests.api.live.journey import REASON, approved, booked, decide, order, paid
from tests.api.live.workers import FailingGateway, Workers
from tests.api.route_table import BODIES, PAGES
from tests.api.world import World

# The Stripe SDK's own use of httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

CHANGE_NOTHING = {
    "/v1/auth/token": "returns a token, and may rehash the same password",
    "/mcp": "calls other routes: tests/api/live/agents/test_door.py",
    "/v1/stripe/webhook": "forwards Stripe's event; its effects are the workflow's, and audited there",
    "/v1/stripe/connect-webhook": "the same",
    "/v1/meetings/webhook": "stores reports; a recording's link is audited: tests/api/meetings/test_recordings.py",
}
TESTED_ELSEWHERE = {
    **{
        path: "tests/api/people/test_service_tokens.py"
        for path in ("/v1/service-tokens", "DELETE /v1/service-tokens/{token_id}")
    },
    **{
        path: "tests/api/webhooks/test_routes.py"
        for path in (
            "/v1/webhooks",
            "PATCH /v1/webhooks/{webhook_id}",
            "DELETE /v1/webhooks/{webhook_id}",
            "/v1/webhooks/{webhook_id}/rotate-secret",
            "/v1/webhooks/{webhook_id}/replay",
        )
    },
    **{
        f"/v1/auth/{path}": "tests/api/people/test_password_reset.py: signed out, or with a password"
        for path in ("password-reset", "password", "password/change")
    },
    "/v1/auth/signout": "tests/api/people/test_account.py: it takes a password",
    **{
        f"/v1/auth/{path}": "tests/api/people/test_verification.py: it takes a mailed token"
        for path in ("verification", "verify")
    },
    **{
        f"/v1/operator/disputes/{{dispute_id}}/{decision}": "tests/workflows/test_disputes.py: a bank opens them"
        for decision in ("take-over", "submit", "accept")
    },
    **{
        f"/v1/operator/{path}/adjust": "tests/api/live/reconciliation/test_adjustments.py: it takes a drift"
        for path in ("bookings/{booking_id}", "drifts/{drift_id}")
    },
    "/v1/operator/bookings/{booking_id}/dismiss": "tests/api/live/bookings/test_refunds.py: a bank warns of fraud",
}
_STARTS_IN = timedelta(seconds=6)


@dataclass(frozen=True)
class Stage:
    client: httpx.AsyncClient
    world: World
    workers: Workers
    gateway: FailingGateway


Play = Callable[[Stage], Awaitable[Callable[[], Awaitable[httpx.Response]]]]
"""Prepares the stage, and returns the request that must be audited."""


def _deciding(decision: str, role: str, after: Callable[..., Awaitable[str]], body: Any = None) -> Play:
    async def play(stage: Stage) -> Callable[[], Awaitable[httpx.Response]]:
        person = getattr(stage.world, role)
        booking_id = await after(stage.client, stage.world)
        ask = order if role == "operator" else decide
        return lambda: ask(stage.client, person, booking_id, decision, body)

    return play


async def _over(client: httpx.AsyncClient, world: World) -> str:
    booking_id = await approved(client, world, await world.slot(_STARTS_IN, timedelta(seconds=1)))
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    starts_in = datetime.fromisoformat(shown["starts_at"]) - datetime.now(UTC)
    # The session lasts a second, after which everything can be reported.
    await asyncio.sleep(max(0.0, starts_in.total_seconds()) + 1.1)
    return booking_id


async def _completed(client: httpx.AsyncClient, world: World) -> str:
    booking_id = await _over(client, world)
    await decide(client, world.instructor, booking_id, "complete")
    return booking_id


async def _unpaid(client: httpx.AsyncClient, world: World) -> str:
    booking_id: str = (await booked(client, world))["id"]
    return booking_id


async def _retry(stage: Stage) -> Callable[[], Awaitable[httpx.Response]]:
    stage.gateway.failure = Declined("resource_missing")
    booking_id = await paid(stage.client, stage.world)
    await decide(stage.client, stage.world.instructor, booking_id, "reject", {"reason": "I am away."})
    stage.gateway.failure = None
    return lambda: order(stage.client, stage.world.operator, booking_id, "retry")


async def _contest(stage: Stage) -> Callable[[], Awaitable[httpx.Response]]:
    client, world = stage.client, stage.world
    booking_id = await _over(client, world)
    await decide(client, world.instructor, booking_id, "no-show", {"absent": "student"})
    return lambda: decide(client, world.student, booking_id, "no-show/contest")


def _reschedule(act: str, role: str, names_slot: bool) -> Play:
    async def play(stage: Stage) -> Callable[[], Awaitable[httpx.Response]]:
        client, world = stage.client, stage.world
        booking_id, other = await approved(client, world), {"slot_id": str(await world.slot(timedelta(days=4)))}
        if act != "reschedule":
            await decide(client, world.student, booking_id, "reschedule", other)
        return lambda: decide(client, getattr(world, role), booking_id, act, other if names_slot else None)

    return play


def _post(path: str, role: str | None, body: Any = None) -> Play:
    async def play(stage: Stage) -> Callable[[], Awaitable[httpx.Response]]:
        sent = {"slot_id": str(await stage.world.slot())} if path == "/v1/bookings" else body
        headers = {"Idempotency-Key": "k"} | (getattr(stage.world, role).headers if role else {})
        url = path.format(offering_id=stage.world.offering_id)
        return lambda: stage.client.post(url, json=sent, headers=headers)

    return play


async def _change(stage: Stage) -> Callable[[], Awaitable[httpx.Response]]:
    url, body = f"/v1/offerings/{stage.world.offering_id}", {"title": "While I am away", "is_active": False}
    return lambda: stage.client.patch(url, json=body, headers=stage.world.instructor.headers)


async def _rename(stage: Stage) -> Callable[[], Awaitable[httpx.Response]]:
    return lambda: stage.client.patch("/v1/me", json={"name": "away"}, headers=stage.world.student.headers)


def _withdraw(what: str) -> Play:
    async def play(stage: Stage) -> Callable[[], Awaitable[httpx.Response]]:
        url = f"/v1/offerings/{stage.world.offering_id}/slots" + what.format(slot_id=await stage.world.slot())
        return lambda: stage.client.delete(url, headers=stage.world.instructor.headers)

    return play


def _of_student(act: str) -> Play:
    async def play(stage: Stage) -> Callable[[], Awaitable[httpx.Response]]:
        url, headers = f"/v1/operator/people/{stage.world.student.id}", stage.world.operator.headers
        if act == "reinstate":
            await stage.client.post(f"{url}/suspend", headers=headers)
        return lambda: stage.client.post(f"{url}/{act}", headers=headers)

    return play


UNTIL = (datetime.now(UTC) + timedelta(hours=30)).isoformat()
# By path, with the method unless it is POST.
PLAYS: dict[str, tuple[str, Subject, Play]] = {
    "/v1/auth/signup": ("student", Subject.PERSON, _post("/v1/auth/signup", None, BODIES["signup"])),
    "PATCH /v1/me": ("student", Subject.PERSON, _rename),
    "/v1/me/roles": ("student", Subject.PERSON, _post("/v1/me/roles", "student", BODIES["roles"])),
    "/v1/me/close": ("student", Subject.PERSON, _post("/v1/me/close", "student")),
    "/v1/instructors/me/onboarding-link": (
        "instructor",
        Subject.INSTRUCTOR,
        _post("/v1/instructors/me/onboarding-link", "instructor"),
    ),
    "/v1/offerings": ("instructor", Subject.OFFERING, _post("/v1/offerings", "instructor", BODIES["offerings"])),
    "/v1/offerings/{offering_id}/slots": (
        "instructor",
        Subject.OFFERING,
        _post("/v1/offerings/{offering_id}/slots", "instructor", BODIES["slots"]),
    ),
    "PATCH /v1/offerings/{offering_id}": ("instructor", Subject.OFFERING, _change),
    "DELETE /v1/offerings/{offering_id}/slots": (
        "instructor",
        Subject.OFFERING,
        _withdraw("?starts_after=2026-01-01T00:00:00Z"),
    ),
    "DELETE /v1/offerings/{offering_id}/slots/{slot_id}": ("instructor", Subject.OFFERING, _withdraw("/{slot_id}")),
    "/v1/bookings": ("student", Subject.BOOKING, _post("/v1/bookings", "student")),
    **{
        path.format("{booking_id}"): (role, Subject.BOOKING, _deciding(path.rpartition("/")[2], role, after, body))
        for path, role, after, body in (
            ("/v1/bookings/{}/approve", "instructor", paid, None),
            ("/v1/bookings/{}/reject", "instructor", paid, {"reason": "I am away."}),
            ("/v1/bookings/{}/complete", "instructor", _over, None),
            ("/v1/bookings/{}/confirm", "student", _over, None),
            ("/v1/bookings/{}/object", "student", _completed, {"reason": "I was away."}),
            ("/v1/bookings/{}/cancel", "student", _unpaid, None),
            ("/v1/bookings/{}/no-show", "instructor", _over, {"absent": "student"}),
            ("/v1/operator/bookings/{}/settle", "operator", approved, REASON),
            ("/v1/operator/bookings/{}/release", "operator", approved, None),
            ("/v1/operator/bookings/{}/refund", "operator", approved, {"amount_minor": 2_500, **REASON}),
            ("/v1/operator/bookings/{}/extend", "operator", paid, {"until": UNTIL}),
        )
    },
    "/v1/bookings/{booking_id}/no-show/contest": ("student", Subject.BOOKING, _contest),
    "/v1/bookings/{booking_id}/reschedule": ("student", Subject.BOOKING, _reschedule("reschedule", "student", True)),
    "/v1/bookings/{booking_id}/reschedule/accept": (
        "instructor",
        Subject.BOOKING,
        _reschedule("reschedule/accept", "instructor", True),
    ),
    "/v1/bookings/{booking_id}/reschedule/decline": (
        "instructor",
        Subject.BOOKING,
        _reschedule("reschedule/decline", "instructor", False),
    ),
    "/v1/operator/people/{person_id}/suspend": ("operator", Subject.PERSON, _of_student("suspend")),
    "/v1/operator/people/{person_id}/reinstate": ("operator", Subject.PERSON, _of_student("reinstate")),
    "/v1/operator/reconciliations": (
        "operator",
        Subject.RECONCILIATION,
        _post("/v1/operator/reconciliations", "operator"),
    ),
    "/v1/operator/bookings/{booking_id}/retry": ("operator", Subject.BOOKING, _retry),
}


def test_every_mutating_route_has_a_row(app: FastAPI) -> None:
    changing = {
        route.path if method == "POST" else f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)
        for method in (route.methods or set()) - {"GET", "HEAD"}
        # Pages call the API's functions.
        if (method, route.path) not in PAGES
    }
    assert changing == set(PLAYS) | set(CHANGE_NOTHING) | set(TESTED_ELSEWHERE)


@pytest.mark.parametrize("path", PLAYS)
async def test_change_is_audited_with_its_actor_and_channel(
    path: str, client: httpx.AsyncClient, world: World, workers: Workers
) -> None:
    role, subject, play = PLAYS[path]
    gateway = FailingGateway(workers.stripe, Declined("never"))
    gateway.failure = None
    async with workers.at_work(gateway):
        act = await play(Stage(client, world, workers, gateway))
        before = len(await _events(world))
        answer = await act()
        assert answer.status_code in (200, 201, 202, 204), answer.text
        left = (await _events(world))[before:]
    person = UUID(answer.json()["id"]) if path == "/v1/auth/signup" else getattr(world, role).id
    by_them = [
        event for event in left if Actor(role=event.actor_role, id=event.actor_id) == Actor(role=Role(role), id=person)
    ]
    assert [event for event in by_them if event.channel == Channel.API and event.subject is subject]
    # Free text and addresses are never in an audit event.
    assert "@" not in str([event.detail for event in left])
    assert "away" not in str([event.detail for event in left])


async def _events(world: World) -> list[AuditEvent]:
    async with AsyncSession(world.engine) as session:
        return list(await session.exec(select(AuditEvent).order_by(col(AuditEvent.seq))))
