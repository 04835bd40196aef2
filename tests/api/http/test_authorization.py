"""Who may do what, as one table. A route without a row fails."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from models.domain.actors import Role
from tests.api.world import Person, World, add_instructor, add_student, said

ROLES = ("nobody", "student", "instructor", "operator", "other student", "other instructor")

# `ok`: let in, whatever comes of it. A status: turned away with it. The booking is the student's with the instructor.
TABLE = """
                                                     nobody student instructor operator o.student o.instructor
POST /v1/auth/signup                                  ok     ok       ok         ok        ok        ok
POST /v1/auth/token                                   401    401      401        401       401       401
POST /v1/auth/password-reset                          ok     ok       ok         ok        ok        ok
POST /v1/auth/password                                400    400      400        400       400       400
POST /v1/auth/password/change                         401    403      403        403       403       403
GET  /v1/instructors/me                               401    403      ok         403       403       ok
GET  /v1/instructors/me/statements/{year}             401    403      ok         403       403       ok
POST /v1/instructors/me/onboarding-link               401    403      ok         403       403       ok
GET  /v1/instructors/{instructor_id}                  ok     ok       ok         ok        ok        ok
GET  /v1/instructors/me/offerings                     401    403      ok         403       403       ok
POST /v1/offerings                                    401    403      ok         403       403       ok
GET  /v1/offerings                                    ok     ok       ok         ok        ok        ok
GET  /v1/offerings/{offering_id}                      ok     ok       ok         ok        ok        ok
PATCH /v1/offerings/{offering_id}                     401    403      ok         403       403       403
POST /v1/offerings/{offering_id}/slots                401    403      ok         403       403       403
GET  /v1/offerings/{offering_id}/slots                ok     ok       ok         ok        ok        ok
DELETE /v1/offerings/{offering_id}/slots              401    403      ok         403       403       403
DELETE /v1/offerings/{offering_id}/slots/{slot_id}    401    403      ok         403       403       403
POST /v1/bookings                                     401    ok       403        403       ok        403
GET  /v1/bookings                                     401    ok       ok         403       ok        ok
GET  /v1/bookings/{booking_id}                        401    ok       ok         ok        404       404
GET  /v1/bookings/{booking_id}/events                 401    ok       ok         ok        404       404
GET  /v1/bookings/{booking_id}/cancellation-quote     401    ok       ok         403       404       404
GET  /v1/bookings/{booking_id}/calendar.ics           401    ok       ok         403       404       404
GET  /v1/bookings/{booking_id}/receipt.pdf            401    ok       ok         ok        404       404
GET  /v1/bookings/{booking_id}/join                   401    ok       ok         403       404       404
POST /v1/bookings/{booking_id}/approve                401    403      ok         403       403       404
POST /v1/bookings/{booking_id}/reject                 401    403      ok         403       403       404
POST /v1/bookings/{booking_id}/complete               401    403      ok         403       403       404
POST /v1/bookings/{booking_id}/cancel                 401    ok       ok         ok        404       404
POST /v1/bookings/{booking_id}/no-show                401    ok       ok         403       404       404
POST /v1/bookings/{booking_id}/no-show/contest        401    ok       ok         403       404       404
POST /v1/bookings/{booking_id}/reschedule             401    ok       ok         403       404       404
POST /v1/bookings/{booking_id}/reschedule/accept      401    ok       ok         403       404       404
POST /v1/bookings/{booking_id}/reschedule/decline     401    ok       ok         403       404       404
GET  /v1/operator/bookings                            401    403      403        ok        403       403
POST /v1/operator/bookings/{booking_id}/settle        401    403      403        ok        403       403
POST /v1/operator/bookings/{booking_id}/release       401    403      403        ok        403       403
POST /v1/operator/bookings/{booking_id}/refund        401    403      403        ok        403       403
POST /v1/operator/bookings/{booking_id}/extend        401    403      403        ok        403       403
POST /v1/operator/bookings/{booking_id}/retry         401    403      403        ok        403       403
GET  /v1/instructors/me/payouts                       401    403      ok         403       403       ok
GET  /v1/operator/payouts                             401    403      403        ok        403       403
GET  /v1/operator/negative-balances                   401    403      403        ok        403       403
GET  /v1/operator/bookings/{booking_id}/ledger        401    403      403        ok        403       403
POST /v1/operator/reconciliations                     401    403      403        ok        403       403
GET  /v1/operator/reconciliations                     401    403      403        ok        403       403
GET  /v1/operator/reconciliations/{reconciliation_id} 401    403      403        404       403       403
GET  /v1/operator/drifts                              401    403      403        ok        403       403
GET  /v1/operator/disputes                            401    403      403        ok        403       403
POST /v1/operator/disputes/{dispute_id}/take-over     401    403      403        404       403       403
POST /v1/operator/disputes/{dispute_id}/submit        401    403      403        404       403       403
POST /v1/operator/disputes/{dispute_id}/accept        401    403      403        404       403       403
GET  /v1/operator/reports/tax/{year}                  401    403      403        ok        403       403
GET  /v1/operator/reports/{month}                     401    403      403        ok        403       403
GET  /v1/metrics/business                             401    403      403        ok        403       403
POST /v1/stripe/webhook                               400    400      400        400       400       400
POST /v1/stripe/connect-webhook                       400    400      400        400       400       400
POST /v1/meetings/webhook                             400    400      400        400       400       400
GET  /healthz                                         ok     ok       ok         ok        ok        ok
GET  /readyz                                          ok     ok       ok         ok        ok        ok
GET  /metrics                                         ok     ok       ok         ok        ok        ok
GET  /checkout/return                                 ok     ok       ok         ok        ok        ok
GET  /checkout/cancelled                              ok     ok       ok         ok        ok        ok
GET  /onboarding/return                               ok     ok       ok         ok        ok        ok
GET  /onboarding/refresh                              ok     ok       ok         ok        ok        ok
GET  /password-reset                                  ok     ok       ok         ok        ok        ok
GET  /v1/openapi.json                                 ok     ok       ok         ok        ok        ok
"""
ROWS = {
    (method, path): dict(zip(ROLES, outcomes, strict=True))
    for method, path, *outcomes in map(str.split, TABLE.splitlines()[2:])
}

BODIES: dict[str, dict[str, Any]] = {
    "signup": {"email": "ada@students.test", "password": "a long enough password", "name": "Ada", "role": "student"},
    "token": {"email": "nobody@students.test", "password": "a long enough password"},
    "password-reset": {"email": "ada@students.test"},
    "password": {"token": "unknown", "password": "a long enough password"},
    "change": {"current_password": "not theirs: they have none", "new_password": "a long enough password"},
    "offerings": {
        "title": "Counterpoint",
        "price": {"amount_minor": 10_000, "currency": "usd"},
        "duration_minutes": 60,
    },
    "{offering_id}": {"title": "Fugue", "price": {"amount_minor": 12_000, "currency": "usd"}, "is_active": False},
    "slots": {"starts_at": (datetime.now(UTC) + timedelta(days=3)).isoformat()},
    "reject": {"reason": "I am away."},
    "reschedule": {"slot_id": str(UUID(int=1))},
    "accept": {"slot_id": str(UUID(int=1))},
    "no-show": {"absent": "student"},
    "refund": {"amount_minor": 100},
    "extend": {"until": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
}


def test_every_route_has_a_row(app: FastAPI) -> None:
    routes = {
        (method, route.path)
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert routes == set(ROWS)


@pytest.mark.parametrize(("method", "path"), ROWS)
async def test_a_route_lets_in_whom_the_table_says(
    method: str, path: str, client: httpx.AsyncClient, world: World
) -> None:
    people: dict[str, Person | None] = {
        "nobody": None,
        "student": world.student,
        "instructor": world.instructor,
        "operator": world.operator,
        "other student": await add_student(world.engine),
        "other instructor": await add_instructor(world.engine),
    }
    slot_id, booking_id = await world.slot(timedelta(days=1)), await world.booking()
    body = {"slot_id": str(slot_id)} if path == "/v1/bookings" else BODIES.get(path.rpartition("/")[2])
    seen = {}
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
            ),
            json=body if method in ("POST", "PATCH") else None,
            params={"starts_after": datetime.now(UTC).isoformat()} if method == "DELETE" else None,
            headers={"Idempotency-Key": role} | (person.headers if person else {}),
        )
        assert answer.status_code != 422, answer.text
        seen[role] = str(answer.status_code) if answer.status_code in (400, 401, 403, 404) else "ok"
    assert seen == ROWS[method, path]


@pytest.mark.parametrize("path", [path for method, path in ROWS if "{booking_id}" in path and method == "POST"])
async def test_who_may_not_know_of_a_booking_cannot_tell_it_from_one_that_never_was(
    path: str, client: httpx.AsyncClient, world: World
) -> None:
    strangers = [await add_student(world.engine), Person(Role.INSTRUCTOR)]
    theirs, never = await world.booking(), "00000000-0000-4000-8000-000000000000"
    body = BODIES.get(path.rpartition("/")[2])
    for stranger in strangers:
        answers = [
            await client.post(path.format(booking_id=booking_id), json=body, headers=stranger.headers)
            for booking_id in (theirs, never)
        ]
        assert said(answers[0]) == said(answers[1])
