"""A trace goes from the API's request to the workflow, its activities and their log lines, without any exporter."""

from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Interceptor, Replayer

from models.domain.ids import workflow_id
from models.tables.outbox import OutboxMessage
from tests.api.live.journey import paid
from tests.api.world import World
from tests.loglines import logged
from workflows.booking.workflow import BookingWorkflow
from workflows.client.interceptors import LoggingInterceptor

# The Stripe SDK's own use of httpx.
pytestmark = [pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"), pytest.mark.usefixtures("worker")]


async def test_activities_log_the_request_s_trace_id(client: httpx.AsyncClient, world: World) -> None:
    headers = world.student.headers | {"Idempotency-Key": "first", "X-Request-Id": "abc"}
    with logged() as lines:
        answer = await client.post("/v1/bookings", json={"slot_id": str(await world.slot())}, headers=headers)
    assert answer.status_code == 201, answer.text
    (line,) = lines("request", request_id="abc")
    assert line["route"] == "/v1/bookings"
    named = {"trace_id": line["trace_id"], "workflow_id": workflow_id(answer.json()["id"])}
    for activity in ("reserve_slot", "secure_payment", "record_checkout"):
        (line,) = lines("activity", activity=activity)
        assert line.items() >= (named | {"outcome": "done", "attempt": 1}).items()


async def test_request_id_is_the_trace_id_if_none_is_sent(client: httpx.AsyncClient) -> None:
    with logged() as lines:
        ids = [(await client.get("/v1/offerings")).headers["X-Request-Id"] for _ in range(2)]
    assert [line["trace_id"] for line in lines("request")] == ids
    assert ids[0] != ids[1]


async def test_later_activities_and_mails_belong_to_the_booking_s_trace(
    client: httpx.AsyncClient, world: World, temporal: Client, engine: AsyncEngine
) -> None:
    with logged() as lines:
        booking_id = await paid(client, world)
        answer = await client.post(f"/v1/bookings/{booking_id}/approve", headers=world.instructor.headers)
    assert answer.status_code == 200, answer.text
    (booked,) = lines("request", route="/v1/bookings", method="POST")
    assert lines("activity", activity="record_acceptance", trace_id=booked["trace_id"])
    async with AsyncSession(engine) as session:
        mails = await session.exec(select(OutboxMessage).where(col(OutboxMessage.booking_id) == UUID(booking_id)))
        assert {str(mail.traceparent).split("-")[1] for mail in mails} == {booked["trace_id"]}
    history = await temporal.get_workflow_handle(workflow_id(UUID(booking_id))).fetch_history()
    interceptors: list[Interceptor] = [TracingInterceptor(), LoggingInterceptor()]
    for present in ([], interceptors):
        replayer = Replayer(workflows=[BookingWorkflow], data_converter=pydantic_data_converter, interceptors=present)
        await replayer.replay_workflow(history)
