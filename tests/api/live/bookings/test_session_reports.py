"""What one side reports of a session, over HTTP: shown to both, answered by the other, laid out for an operator."""

import asyncio
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from models.domain.ids import workflow_id
from models.tables.audit import AuditEvent
from tests.api.live.journey import approved, decide, order, over
from tests.api.world import JSON, Person, World, problem

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]


async def done(client: httpx.AsyncClient, person: Person, booking_id: str, what: str, body: JSON | None = None) -> JSON:
    answer = await decide(client, person, booking_id, what, body)
    assert answer.status_code == 200, answer.text
    shown: JSON = answer.json()
    return shown


async def test_a_completion_that_the_record_shows_is_captured_at_once(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await over(client, world, world.student, world.instructor)
    shown = await done(client, world.instructor, booking_id, "complete")
    assert (shown["status"], shown["payment"]["status"], shown["completion"]) == ("COMPLETED", "CAPTURED", None)


async def test_before_the_end_a_completion_is_refused_unless_the_record_is_enough(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await approved(client, world, await world.slot(timedelta(seconds=6), timedelta(hours=1)))
    early = await decide(client, world.instructor, booking_id, "complete")
    assert problem(early) == (409, "not-possible-now")
    await asyncio.sleep(6)
    early = await decide(client, world.instructor, booking_id, "complete")
    assert problem(early) == (409, "not-possible-now")
    assert "session ends at" in early.json()["detail"]
    reported = await decide(client, world.instructor, booking_id, "no-show", {"absent": "student"})
    assert problem(reported) == (409, "not-possible-now")
    shown = await done(client, world.student, booking_id, "confirm")
    assert (shown["end_reason"], shown["payment"]["status"]) == ("completed", "CAPTURED")


async def test_a_completion_without_a_record_says_what_happens_next_and_is_confirmed(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await over(client, world)
    await done(client, world.instructor, booking_id, "complete")
    for person in (world.student, world.instructor):
        shown = (await client.get(f"/v1/bookings/{booking_id}", headers=person.headers)).json()
        assert (shown["status"], shown["session"]["status"]) == ("ACCEPTED", "COMPLETION_REPORTED")
        assert shown["next_deadline_at"] == shown["completion"]["object_until"]
        assert shown["at_deadline"] == "completed_unless_contradicted"
    shown = await done(client, world.student, booking_id, "confirm")
    assert (shown["status"], shown["payment"]["status"]) == ("COMPLETED", "CAPTURED")


async def test_an_objection_to_a_completion_that_the_record_contradicts_returns_everything(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await over(client, world, world.student)
    await done(client, world.instructor, booking_id, "complete")
    shown = await done(client, world.student, booking_id, "object", {"reason": "I waited alone."})
    assert (shown["status"], shown["end_reason"]) == ("NO_SHOW", "instructor_absent")
    assert shown["payment"]["captured"]["amount_minor"] == 0
    assert shown["completion"]["verdict"] == "INSTRUCTOR_ABSENT"


async def test_an_objection_is_laid_out_for_an_operator_and_its_reason_stays_out_of_the_history(
    client: httpx.AsyncClient, world: World, temporal: Client
) -> None:
    booking_id = await over(client, world)
    refused = await decide(client, world.student, booking_id, "object", {"reason": "Too soon."})
    assert problem(refused) == (409, "not-possible-now")
    await done(client, world.instructor, booking_id, "complete")
    reason = "Nobody was in the meeting."
    shown = await done(client, world.student, booking_id, "object", {"reason": reason})
    assert (shown["status"], shown["at_deadline"]) == ("ACCEPTED", "released")
    waiting = await client.get(
        "/v1/operator/bookings", params={"needs_attention": "true"}, headers=world.operator.headers
    )
    [seen] = [each for each in waiting.json()["data"] if each["id"] == booking_id]
    assert "disagree" in seen["attention_reason"]
    assert (seen["completion"]["objection_reason"], seen["completion"]["verdict"]) == (reason, "NOTHING_RECORDED")
    assert seen["attendance"]["seconds_together"] == 0
    history = await temporal.get_workflow_handle(workflow_id(UUID(booking_id))).fetch_history()
    assert "Nobody was" not in history.to_json()
    decided = await order(client, world.operator, booking_id, "release")
    assert decided.json()["end_reason"] == "released_by_operator"


async def test_a_reported_no_show_can_be_contested_and_the_meetings_record_decides(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await over(client, world, world.student, world.instructor)
    shown = await done(client, world.instructor, booking_id, "no-show", {"absent": "student"})
    assert (shown["status"], shown["at_deadline"]) == ("ACCEPTED", "no_show_unless_contradicted")
    assert (shown["no_show"]["absent"], shown["no_show"]["contested_at"]) == ("student", None)
    assert shown["next_deadline_at"] == shown["no_show"]["contest_until"]
    assert problem(await decide(client, world.instructor, booking_id, "no-show/contest")) == (409, "not-possible-now")
    shown = await done(client, world.student, booking_id, "no-show/contest")
    assert (shown["status"], shown["end_reason"]) == ("COMPLETED", "no_show_refuted")
    assert shown["payment"]["status"] == "CAPTURED"
    assert shown["no_show"]["verdict"] == "TOOK_PLACE"


async def test_what_the_record_does_not_decide_is_laid_out_for_an_operator(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await over(client, world)
    await done(client, world.instructor, booking_id, "no-show", {"absent": "student"})
    shown = await done(client, world.student, booking_id, "no-show/contest")
    assert shown["status"] == "ACCEPTED"
    seen = (await client.get(f"/v1/bookings/{booking_id}", headers=world.operator.headers)).json()
    assert (seen["needs_attention"], seen["no_show"]["verdict"]) == (True, "NOTHING_RECORDED")
    decided = await order(client, world.operator, booking_id, "release")
    assert decided.json()["end_reason"] == "released_by_operator"


async def test_without_a_report_there_is_nothing_to_contest(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await approved(client, world)
    assert problem(await decide(client, world.student, booking_id, "no-show/contest")) == (409, "not-possible-now")


@pytest.mark.parametrize(("decision", "body"), [("settle", {}), ("refund", {"amount_minor": 2_500})])
async def test_an_operator_who_settles_before_the_end_gives_a_reason_which_the_audit_trail_keeps(
    client: httpx.AsyncClient, world: World, decision: str, body: JSON
) -> None:
    booking_id = await approved(client, world)
    refused = await order(client, world.operator, booking_id, decision, body or None)
    assert problem(refused) == (409, "not-possible-now")
    assert "give a reason" in refused.json()["detail"]
    reason = "Both sides met by phone."
    answer = await order(client, world.operator, booking_id, decision, body | {"reason": reason})
    assert answer.status_code == 200, answer.text
    query = select(AuditEvent).where(
        col(AuditEvent.booking_id) == UUID(booking_id), col(AuditEvent.action) == "booking.settlement_reason_kept"
    )
    async with AsyncSession(world.engine) as session:
        event = (await session.exec(query)).one()
    assert (event.detail, event.actor_id) == ({"reason": reason}, world.operator.id)
