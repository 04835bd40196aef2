"""The request id is passed from the caller to the workflow, its activities and their log lines."""

from uuid import UUID

import httpx
import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from models.domain.ids import workflow_id
from tests.api.live.journey import paid
from tests.api.world import World
from tests.loglines import logged
from workflows.booking.workflow import BookingWorkflow
from workflows.client.interceptors import RequestIdWorkerInterceptor

# The Stripe SDK's own use of httpx.
pytestmark = [pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"), pytest.mark.usefixtures("worker")]


async def test_activities_log_the_request_id(client: httpx.AsyncClient, world: World) -> None:
    headers = world.student.headers | {"Idempotency-Key": "first", "X-Request-Id": "abc"}
    with logged() as lines:
        answer = await client.post("/v1/bookings", json={"slot_id": str(await world.slot())}, headers=headers)
    assert answer.status_code == 201, answer.text
    named = {"request_id": "abc", "workflow_id": workflow_id(answer.json()["id"])}
    for activity in ("reserve_slot", "secure_payment", "record_checkout"):
        (line,) = lines("activity", activity=activity)
        assert line.items() >= (named | {"outcome": "done", "attempt": 1}).items()
    (line,) = lines("request", request_id="abc")
    assert line["route"] == "/v1/bookings"


async def test_later_request_is_logged_with_its_own_id(
    client: httpx.AsyncClient, world: World, temporal: Client
) -> None:
    booking_id = await paid(client, world)
    with logged() as lines:
        answer = await client.post(
            f"/v1/bookings/{booking_id}/approve", headers=world.instructor.headers | {"X-Request-Id": "def"}
        )
    assert answer.status_code == 200, answer.text
    assert lines("activity", activity="record_acceptance", request_id="def")
    history = await temporal.get_workflow_handle(workflow_id(UUID(booking_id))).fetch_history()
    for interceptors in ([], [RequestIdWorkerInterceptor()]):
        replayer = Replayer(
            workflows=[BookingWorkflow], data_converter=pydantic_data_converter, interceptors=interceptors
        )
        await replayer.replay_workflow(history)
