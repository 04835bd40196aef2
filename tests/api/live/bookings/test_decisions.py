from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from api.bookings.client import BookingClient
from api.http.temporal import Timeouts
from models.domain.errors import Declined, Retryable
from models.domain.ids import workflow_id
from tests.api.live.journey import REASON, approved, booked, decide, order, paid, seen
from tests.api.live.workers import FailingGateway, Workers
from tests.api.world import World, problem

# The Stripe SDK's own use of httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.mark.usefixtures("worker")
async def test_approved_booking_has_a_session(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await paid(client, world)
    answer = await decide(client, world.instructor, booking_id, "approve")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ACCEPTED"
    assert answer.json()["session"]["status"] == "SCHEDULED"
    assert answer.json()["payment"]["status"] == "PENDING"


@pytest.mark.usefixtures("worker")
async def test_decision_at_the_wrong_stage_is_refused_with_the_status(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await approved(client, world)
    for decision in ("approve", "complete"):
        answer = await decide(client, world.instructor, booking_id, decision)
        assert problem(answer) == (409, "not-possible-now")
        assert answer.json()["booking_status"] == "ACCEPTED"
        assert answer.json()["detail"]


@pytest.mark.usefixtures("worker")
async def test_unpaid_booking_cannot_be_approved(client: httpx.AsyncClient, world: World) -> None:
    created = await booked(client, world)
    answer = await decide(client, world.instructor, created["id"], "approve")
    assert problem(answer) == (409, "not-possible-now")


@pytest.mark.usefixtures("worker")
async def test_rejection_reason_is_shown_and_not_in_the_history(
    client: httpx.AsyncClient, world: World, temporal: Client
) -> None:
    booking_id = await paid(client, world)
    answer = await decide(client, world.instructor, booking_id, "reject", {"reason": "My cat is ill."})
    assert answer.status_code == 200
    shown = await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)
    assert shown.json()["status"] == "REJECTED"
    assert shown.json()["rejection_reason"] == "My cat is ill."
    assert shown.json()["payment"]["status"] == "REFUNDED"
    history = await temporal.get_workflow_handle(workflow_id(UUID(booking_id))).fetch_history()
    assert "cat" not in history.to_json()


@pytest.mark.usefixtures("worker")
async def test_closed_booking_refuses_decisions(client: httpx.AsyncClient, world: World, temporal: Client) -> None:
    booking_id = await paid(client, world)
    assert (await decide(client, world.student, booking_id, "cancel")).status_code == 200
    await temporal.get_workflow_handle(workflow_id(UUID(booking_id))).result()
    answer = await decide(client, world.instructor, booking_id, "approve")
    assert problem(answer) == (409, "booking-closed")
    assert answer.json()["booking_status"] == "CANCELLED"


@pytest.mark.usefixtures("worker")
async def test_student_instructor_and_operator_can_cancel(client: httpx.AsyncClient, world: World) -> None:
    for days, person in enumerate((world.student, world.instructor, world.operator), start=1):
        answer = await client.post(
            "/v1/bookings",
            json={"slot_id": str(await world.slot(timedelta(days=days)))},
            headers=world.student.headers | {"Idempotency-Key": person.role},
        )
        cancelled = await decide(client, person, answer.json()["id"], "cancel")
        assert cancelled.status_code == 200, cancelled.text
        assert cancelled.json()["status"] == "CANCELLED"
        assert ("needs_attention" in cancelled.json()) == (person is world.operator)


async def test_decision_without_a_worker_is_unavailable(
    app: FastAPI, client: httpx.AsyncClient, world: World, temporal: Client, task_queue: str, workers: Workers
) -> None:
    async with workers.at_work():
        booking_id = await paid(client, world)
    app.state.bookings = BookingClient(temporal, task_queue, Timeouts(decision=timedelta(seconds=1)))
    answer = await decide(client, world.instructor, booking_id, "approve")
    assert problem(answer) == (503, "unavailable")
    assert answer.headers["retry-after"]


@workflow.defn(name="Booking")
class Broken:
    """A booking that cannot carry out an approval, and waits on."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def approve(self, _: RawValue) -> None:
        raise ApplicationError("a bug")


async def test_decision_that_failed_halfway_is_not_said_to_have_met_a_closed_booking(
    client: httpx.AsyncClient, world: World, temporal: Client, task_queue: str
) -> None:
    booking_id = await world.booking()
    async with Worker(temporal, task_queue=task_queue, workflows=[Broken], workflow_runner=UnsandboxedWorkflowRunner()):
        handle = await temporal.start_workflow(Broken.run, id=workflow_id(booking_id), task_queue=task_queue)
        answer = await decide(client, world.instructor, str(booking_id), "approve")
        assert problem(answer) == (503, "unavailable")
        await handle.terminate()
        answer = await decide(client, world.instructor, str(booking_id), "approve")
        assert problem(answer) == (409, "booking-interrupted")


@workflow.defn(name="Booking")
class Failing:
    """A booking whose workflow tasks fail, as after a faulty deployment or with a worker that dies again and again."""

    @workflow.run
    async def run(self) -> None:
        raise RuntimeError("a bug")


async def test_decision_on_a_booking_whose_workflow_tasks_fail_is_unavailable(
    app: FastAPI, client: httpx.AsyncClient, world: World, temporal: Client, task_queue: str
) -> None:
    app.state.bookings = BookingClient(temporal, task_queue, Timeouts(decision=timedelta(seconds=1)))
    id = workflow_id(booking_id := await world.booking())
    async with Worker(
        temporal, task_queue=task_queue, workflows=[Failing], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        # The SDK reports the first failure only, and lets the next attempts time out.
        handle = await temporal.start_workflow(
            Failing.run, id=id, task_queue=task_queue, task_timeout=timedelta(seconds=1)
        )
        # From the third attempt on, Temporal refuses updates at once.
        attempts = 0
        while attempts < 3:
            shown = await handle.describe()
            attempts = shown.raw_description.pending_workflow_task.attempt
            answer = await decide(client, world.instructor, str(booking_id), "approve")
            assert problem(answer) == (503, "unavailable")
        await handle.terminate()


async def test_decision_is_accepted_while_stripe_does_not_answer(
    app: FastAPI, client: httpx.AsyncClient, world: World, temporal: Client, task_queue: str, workers: Workers
) -> None:
    gateway = FailingGateway(workers.stripe, Retryable("no connection"))
    app.state.bookings = BookingClient(temporal, task_queue, Timeouts(decision=timedelta(seconds=1)))
    async with workers.at_work(gateway):
        booking_id = await paid(client, world)
        answer = await decide(client, world.student, booking_id, "cancel")
        assert answer.status_code == 202
        assert answer.json()["status"] == "PENDING"
        gateway.failure = None
        await seen(client, world.student, booking_id, lambda booking: booking["status"] == "CANCELLED")


async def test_declined_release_waits_for_an_operator(
    client: httpx.AsyncClient, world: World, workers: Workers
) -> None:
    gateway = FailingGateway(workers.stripe, Declined("resource_missing"))
    async with workers.at_work(gateway):
        booking_id = await paid(client, world)
        await decide(client, world.instructor, booking_id, "reject", {"reason": "I am away."})
        listed = await client.get(
            "/v1/operator/bookings", params={"needs_attention": True}, headers=world.operator.headers
        )
        assert [booking["id"] for booking in listed.json()["data"]] == [booking_id]
        assert "resource_missing" in listed.json()["data"][0]["attention_reason"]
        unchanged = await order(client, world.operator, booking_id, "retry")
        assert problem(unchanged) == (409, "not-possible-now")
        assert "resource_missing" in unchanged.json()["detail"]
        gateway.failure = None
        answer = await order(client, world.operator, booking_id, "retry")
        assert answer.status_code == 200, answer.text
        shown = await seen(client, world.operator, booking_id, lambda booking: booking["status"] == "REJECTED")
        assert shown["needs_attention"] is False


@pytest.mark.usefixtures("worker")
async def test_operator_extends_a_deadline(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await paid(client, world)
    until = (datetime.now(UTC) + timedelta(hours=30)).replace(microsecond=0)
    answer = await order(client, world.operator, booking_id, "extend", {"until": until.isoformat()})
    assert answer.status_code == 200, answer.text
    assert datetime.fromisoformat(answer.json()["next_deadline_at"]) == until


@pytest.mark.usefixtures("worker")
async def test_operator_refunds_a_part(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await approved(client, world)
    too_much = await order(client, world.operator, booking_id, "refund", {"amount_minor": 10_001, **REASON})
    assert problem(too_much) == (409, "not-possible-now")
    answer = await order(client, world.operator, booking_id, "refund", {"amount_minor": 2_500, **REASON})
    assert answer.status_code == 200, answer.text
    assert answer.json()["end_reason"] == "refunded_by_operator"
    assert answer.json()["payment"]["captured"] == {"amount_minor": 7_500, "currency": "usd"}
    assert answer.json()["payment"]["returned"] == {"amount_minor": 2_500, "currency": "usd"}
