"""Calls to Stripe that get no answer, a late one or a final no: one layer retries, and what an operator then reads."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
import stripe
from temporalio import activity, workflow
from temporalio.exceptions import ActivityError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.stripe.client import REQUEST_TIMEOUT, stripe_client
from activities.stripe.errors import translated_errors
from models.domain.disputes import DisputeEvent, DisputeOrder
from models.domain.errors import Unknown
from models.domain.ids import (
    dispute_workflow_id,
    external_refund_id,
    payout_workflow_id,
    refund_workflow_id,
    stripe_task_queue,
)
from models.domain.payouts import PayoutEvent, PayoutOrder
from models.domain.refunds import RefundEvent, RefundOrder
from tests.workflows.saga import QUEUE, Saga
from workflows.activity_calls import CALL_TIMEOUT, HEARTBEAT_TIMEOUT, call_stripe, reason_of
from workflows.disputes import DisputeWorkflow
from workflows.payouts import PayoutWorkflow
from workflows.refunds import RefundWorkflow

Answer = Callable[[int], Awaitable[bytes]]
_BALANCE = b'{"object":"balance","available":[],"pending":[],"livemode":false}'
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_BALANCE), _BALANCE)


class Stripe:
    """Activities on a Stripe client, which count how many attempts there were and how many ran at once."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client
        self.attempts = self.running = self.most_at_once = 0

    @activity.defn
    async def ask(self, requests: int) -> str:
        self.attempts, self.running = self.attempts + 1, self.running + 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            async with translated_errors():
                for _ in range(requests):
                    await self._client.v1.balance.retrieve_async()
        finally:
            self.running -= 1
        return "answered"


@workflow.defn
class Caller:
    @workflow.run
    async def run(self, within: timedelta) -> str:
        try:
            return await call_stripe(Stripe.ask, 1, workflow.now() + within)
        except ActivityError as failure:
            return reason_of(failure)


@asynccontextmanager
async def answering(answer: Answer, request_timeout: float) -> AsyncIterator[Stripe]:
    """Activities whose Stripe is a server that answers its nth request with `answer(n)`."""
    requests, connections = 0, set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                requests += 1
                writer.write(await answer(requests))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    try:
        async with stripe_client("sk_test_1", f"http://127.0.0.1:{port}", request_timeout) as client:
            yield Stripe(client)
    finally:
        server.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def call(saga: Saga, activities: Stripe, within: timedelta) -> str:
    queue = f"calls-{uuid4()}"
    # Unsandboxed: the workflow is a test's, and its module imports more than a workflow may.
    client, runner = saga.env.client, UnsandboxedWorkflowRunner()
    async with (
        Worker(client, task_queue=queue, workflows=[Caller], workflow_runner=runner),
        Worker(client, task_queue=stripe_task_queue(queue), activities=[activities.ask]),
    ):
        return await saga.env.client.execute_workflow(Caller.run, within, id=queue, task_queue=queue)


async def test_a_server_that_never_answers_is_called_by_one_attempt_at_a_time(saga: Saga) -> None:
    async def never(_: int) -> bytes:
        return await asyncio.Future()

    async with answering(never, request_timeout=0.1) as activities:
        reason = await call(saga, activities, within=timedelta(minutes=10))
    assert reason == "ask: APIConnectionError (request none)"
    assert activities.most_at_once == 1
    assert activities.attempts > 10


async def test_an_answer_that_comes_late_is_an_unknown_outcome_and_the_next_attempt_answers(saga: Saga) -> None:
    async def late_at_first(request: int) -> bytes:
        await asyncio.sleep(0.5 if request == 1 else 0)
        return _OK

    async with answering(late_at_first, request_timeout=0.2) as activities:
        assert await call(saga, activities, within=timedelta(minutes=10)) == "answered"
    assert (activities.attempts, activities.most_at_once) == (2, 1)


@pytest.mark.parametrize(("seconds_for_each", "heartbeats"), [(0.0, 0), (1.1, 2)], ids=["quick", "slow"])
async def test_heartbeats_are_sent_between_slow_requests_only(seconds_for_each: float, heartbeats: int) -> None:
    async def answer(_: int) -> bytes:
        await asyncio.sleep(seconds_for_each)
        return _OK

    sent: list[object] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: sent.append(details)
    async with answering(answer, request_timeout=5) as activities:
        assert await environment.run(activities.ask, 3) == "answered"
    assert len(sent) == heartbeats


def test_each_time_limit_is_longer_than_what_it_limits() -> None:
    # An attempt looks up, acts and looks up again, a few times over: `HoldPlan.release` has the most requests.
    assert timedelta(seconds=REQUEST_TIMEOUT) < HEARTBEAT_TIMEOUT
    assert 13 * timedelta(seconds=REQUEST_TIMEOUT) < CALL_TIMEOUT


async def test_a_workflow_that_waits_for_stripe_for_a_week_keeps_a_short_history(saga: Saga) -> None:
    saga.faults.has_backoff = True
    saga.faults.fail("before", "look_up_dispute", Unknown("no answer"), times=10_000)
    handle = await saga.env.client.start_workflow(
        DisputeWorkflow.run, DisputeOrder(dispute_id="du_1"), id=f"dispute-{uuid4()}", task_queue=QUEUE
    )
    for _ in range(7):
        await saga.env.sleep(timedelta(days=1))
    description = await handle.describe()
    assert description.close_time is None
    assert description.history_length < 500
    await handle.terminate()


async def test_an_event_of_an_unknown_dispute_is_looked_up_once_and_dropped(saga: Saga) -> None:
    dispute_id = f"du_{uuid4().hex}"
    handle = await saga.env.client.start_workflow(
        DisputeWorkflow.run,
        DisputeOrder(dispute_id=dispute_id),
        id=dispute_workflow_id(dispute_id),
        task_queue=QUEUE,
        start_signal="dispute_event",
        start_signal_args=[DisputeEvent(event_id="evt_1", type="charge.dispute.created")],
    )
    assert await handle.result() is None
    assert await look_ups(handle.id, saga, "look_up_dispute") == 1


async def test_an_event_of_an_unknown_payout_is_looked_up_once_and_dropped(saga: Saga) -> None:
    booked = await saga.paid()
    order = PayoutOrder(payout_id=f"po_{uuid4().hex}", account_id=booked.order.terms.stripe_account_id)
    handle = await saga.env.client.start_workflow(
        PayoutWorkflow.run,
        order,
        id=payout_workflow_id(order.payout_id),
        task_queue=QUEUE,
        start_signal="payout_event",
        start_signal_args=[PayoutEvent(event_id="evt_1", type="payout.paid")],
    )
    assert await handle.result() is None
    assert await look_ups(handle.id, saga, "look_up_payout") == 1


async def test_an_event_of_an_unknown_refund_is_looked_up_once_and_dropped(saga: Saga) -> None:
    stripe_refund_id = f"re_{uuid4().hex}"
    order = RefundOrder(refund_id=external_refund_id(stripe_refund_id), stripe_refund_id=stripe_refund_id)
    handle = await saga.env.client.start_workflow(
        RefundWorkflow.run,
        order,
        id=refund_workflow_id(order.refund_id),
        task_queue=QUEUE,
        start_signal="refund_event",
        start_signal_args=[RefundEvent(event_id="evt_1", type="refund.created")],
    )
    assert await handle.result() is None
    assert await look_ups(handle.id, saga, "adopt_refund") == 1


async def look_ups(workflow_id: str, saga: Saga, activity_type: str) -> int:
    history = await saga.env.client.get_workflow_handle(workflow_id).fetch_history()
    scheduled = [event.activity_task_scheduled_event_attributes for event in history.events]
    return sum(each.activity_type.name == activity_type for each in scheduled)
