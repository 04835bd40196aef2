"""Who may call which route, from one table. A route without a row fails."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from models.domain.actors import Role
from tests.api.pages.browser import Browser
from tests.api.route_table import API, FORMS, PAGES, ROWS, body_of
from tests.api.world import Person, World, add_instructor, add_student, said

WITHDRAW = ("DELETE", "/v1/offerings/{offering_id}/slots")
"""The one route with a query parameter that is required."""


def test_every_route_has_a_row(app: FastAPI) -> None:
    routes = {
        (method, route.path)
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert routes == set(ROWS)


@pytest.mark.parametrize(("method", "path"), API)
async def test_access_matches_the_table(method: str, path: str, client: httpx.AsyncClient, world: World) -> None:
    people = await _people(world)
    slot_id, booking_id = await world.slot(timedelta(days=1)), await world.booking()
    body = {"slot_id": str(slot_id)} if path == "/v1/bookings" else body_of(path)
    outcomes = {}
    for role, person in people.items():
        answer = await client.request(
            method,
            path.format(
                booking_id=booking_id,
                instructor_id=world.instructor.id,
                offering_id=world.offering_id,
                slot_id=slot_id,
                dispute_id="du_unknown",
                year=2026,
                month="2026-03",
                reconciliation_id=uuid4(),
                drift_id=uuid4(),
                person_id=uuid4(),
                token_id=uuid4(),
                webhook_id=uuid4(),
            ),
            json=body if method in ("POST", "PATCH", "PUT") else None,
            params={"starts_after": datetime.now(UTC).isoformat()} if (method, path) == WITHDRAW else None,
            headers={"Idempotency-Key": role} | (person.headers if person else {}),
        )
        assert answer.status_code != 422, answer.text
        outcomes[role] = str(answer.status_code) if answer.status_code in (400, 401, 403, 404) else "ok"
    assert outcomes == API[method, path]


@pytest.mark.parametrize(("method", "path"), PAGES)
async def test_access_to_pages_matches_the_table(
    method: str, path: str, app: FastAPI, client: httpx.AsyncClient, world: World
) -> None:
    path_here = path.format(
        booking_id=await world.booking(),
        instructor_id=world.instructor.id,
        offering_id=world.offering_id,
        slot_id=await world.slot(timedelta(days=1)),
        name="holdfast.css",
        year=2026,
        dispute_id="du_unknown",
        payout_id="po_unknown",
        drift_id=uuid4(),
        person_id=uuid4(),
    )
    outcomes = {}
    for role, person in (await _people(world)).items():
        browser = Browser(client)
        browser.become(person)
        form = {"form_token": browser.form_token(app)} | FORMS.get(path, {}) if method == "POST" else None
        answer = await client.request(method, path_here, data=form)
        leads_to_sign_in = method == "GET" and answer.headers.get("location", "").startswith("/sign-in")
        status = "401" if leads_to_sign_in else str(answer.status_code)
        assert status not in ("422", "500"), answer.text
        outcomes[role] = status if status in ("400", "401", "403", "404") else "ok"
    assert outcomes == PAGES[method, path]


async def _people(world: World) -> dict[str, Person | None]:
    return {
        "nobody": None,
        "student": world.student,
        "instructor": world.instructor,
        "operator": world.operator,
        "other student": await add_student(world.engine),
        "other instructor": await add_instructor(world.engine),
    }


@pytest.mark.parametrize("path", [path for method, path in API if "{booking_id}" in path and method == "POST"])
async def test_a_strangers_booking_looks_like_one_that_does_not_exist(
    path: str, client: httpx.AsyncClient, world: World
) -> None:
    strangers = [await add_student(world.engine), Person(Role.INSTRUCTOR)]
    existing, missing = await world.booking(), "00000000-0000-4000-8000-000000000000"
    body = body_of(path)
    for stranger in strangers:
        answers = [
            await client.post(path.format(booking_id=booking_id), json=body, headers=stranger.headers)
            for booking_id in (existing, missing)
        ]
        assert said(answers[0]) == said(answers[1])
