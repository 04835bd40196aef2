"""What the turns of a random history do: to one booking, or to the whole stack."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final
from uuid import uuid4

import httpx
import stripe
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from models.domain.ids import workflow_id
from models.domain.stripe_events import BOOKING_METADATA
from sandbox.browser.checkout_page import POOR_CARD, CheckoutClosed, pay
from sandbox.demo.people import Json
from sandbox.faults import steps
from sandbox.faults.market import FaultyMarket
from sandbox.faults.plays import Answer, Play
from sandbox.faults.stack import Fault, Part

_REASON: Final = {"reason": "We agreed so by phone."}
_TROUBLE_SECONDS: Final = 5.0

Act = Callable[[Play, int], Awaitable[object]]
Trouble = Callable[[FaultyMarket, int], Awaitable[object]]


def _decides(who: str, decision: str, body: Json | None = None) -> Act:
    return lambda play, _: play.decide(getattr(play.pair, who), decision, body)


def _operates(decision: str, body: Json | None = None) -> Act:
    return lambda play, _: play.insist(play.operator, f"/operator/bookings/{play.booking_id}/{decision}", body)


async def _repeat(play: Play, number: int) -> None:
    """Somebody sends a request once more, with its key."""
    if play.requests:
        await play.insist(*play.requests[number % len(play.requests)])


async def _propose(play: Play, number: int) -> None:
    starts_in = (timedelta(seconds=6), timedelta(hours=12), timedelta(days=20))[number % 3]
    await steps.propose(play, starts_in)


async def _decline(play: Play, _: int) -> None:
    """The student's card has no money."""
    if url := (await play.look()).get("checkout_url"):
        with contextlib.suppress(CheckoutClosed):
            await pay(str(url), POOR_CARD)


async def _dispute(play: Play, _: int) -> None:
    await play.market.dispute(str(play.booking_id))


def _handle(play: Play) -> WorkflowHandle[object, object]:
    return play.market.temporal.get_workflow_handle(workflow_id(play.booking_id))


async def _reset(play: Play, number: int) -> None:
    """To any of its tasks, whether it is open or closed."""
    history = await _handle(play).fetch_history()
    tasks = [e.event_id for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
    if tasks:
        await play.market.temporal.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=play.market.temporal.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id(play.booking_id)),
                reason="drawn",
                workflow_task_finish_event_id=tasks[number % len(tasks)],
                request_id=str(uuid4()),
            )
        )


async def _terminate(play: Play, _: int) -> None:
    await _handle(play).terminate("drawn")
    play.is_terminated = True


async def _cancel_workflow(play: Play, _: int) -> None:
    await _handle(play).cancel()


async def _intent(play: Play) -> stripe.PaymentIntent:
    return await play.market.payment_intent(str(play.booking_id))


async def _cancel_hold(play: Play, _: int) -> None:
    await play.market.control_stripe(f"/payment_intents/{(await _intent(play)).id}/cancel", {})


async def _capture(play: Play, _: int) -> None:
    await play.market.stripe.v1.payment_intents.capture_async((await _intent(play)).id)
    play.answers.append(Answer("dashboard capture", 200, {}))


async def _refund(play: Play, _: int) -> None:
    """Half, by a script with our label, from those who bear it."""
    intent = await _intent(play)
    charge = await play.market.stripe.v1.charges.retrieve_async(str(intent.latest_charge))
    is_destination = charge.application_fee is not None
    await play.market.stripe.v1.refunds.create_async(
        {
            "payment_intent": intent.id,
            "amount": 5_000,
            "metadata": {BOOKING_METADATA: str(play.booking_id)},
            **({"reverse_transfer": True, "refund_application_fee": True} if is_destination else {}),
        }
    )
    play.answers.append(Answer("dashboard refund", 200, {}))


ACTS: Final[Mapping[str, Act]] = {
    "book": lambda play, _: play.book(),
    "pay": lambda play, _: play.pay(),
    "decline": _decline,
    "approve": _decides("instructor", "approve"),
    "reject": _decides("instructor", "reject", {"reason": "I am travelling that day."}),
    "confirm": _decides("student", "confirm"),
    "complete": _decides("instructor", "complete"),
    "object": _decides("student", "object", {"reason": "We only spoke for half an hour."}),
    "report_student_absent": _decides("instructor", "no-show", {"absent": "student"}),
    "report_instructor_absent": _decides("student", "no-show", {"absent": "instructor"}),
    "contest": _decides("instructor", "no-show/contest"),
    "propose": _propose,
    "accept_move": lambda play, _: steps.accept_move(play),
    "cancel": _decides("student", "cancel"),
    "cancel_by_instructor": _decides("instructor", "cancel"),
    "refund": _operates("refund", {"amount_minor": 5_000} | _REASON),
    "dispute": _dispute,
    "repeat": _repeat,
    "operator_release": _operates("release"),
    "operator_settle": _operates("settle", _REASON),
    "operator_refund": _operates("refund", {"amount_minor": 2_500} | _REASON),
    "operator_retry": _operates("retry"),
    "reset": _reset,
    "terminate": _terminate,
    "cancel_workflow": _cancel_workflow,
    "cancel_hold_in_dashboard": _cancel_hold,
    "capture_in_dashboard": _capture,
    "refund_in_dashboard": _refund,
}


def _breaks(part: Part, fault: Fault) -> Trouble:
    async def trouble(faulty: FaultyMarket, _: int) -> None:
        async with faulty.broken[part], faulty.stack.faulty(part, fault):
            pass

    return trouble


def _delivers(options: Json) -> Trouble:
    async def trouble(faulty: FaultyMarket, number: int) -> None:
        await faulty.market.control_stripe("/deliveries", options | {"seed": number})
        await asyncio.sleep(_TROUBLE_SECONDS)
        await faulty.market.control_stripe("/deliveries", {})

    return trouble


def _fails(kind: str) -> Trouble:
    """Every third request to Stripe, for some time."""

    async def trouble(faulty: FaultyMarket, number: int) -> None:
        fault = {"kind": kind, "times": None, "rate_percent": 33, "seed": number}
        await faulty.market.control_stripe("/faults", fault)
        await asyncio.sleep(_TROUBLE_SECONDS)
        await faulty.clear_faults()

    return trouble


async def _advance_clock(faulty: FaultyMarket, number: int) -> None:
    """By up to two minutes: Stripe refuses Checkout pages that last less than half an hour."""
    await faulty.market.control_stripe("/clock", {"advance_seconds": number % 120})


TROUBLES: Final[Mapping[str, Trouble]] = {
    **{f"kill_{part}": _breaks(part, Fault.KILLED) for part in Part},
    **{f"slow_{part}": _breaks(part, Fault.SLOW) for part in Part},
    "lose_events": _delivers({"lost": ["*"]}),
    "double_events": _delivers({"copies": 2}),
    "shuffle_events": _delivers({"order": "shuffled"}),
    "stripe_errors": _fails("error_after"),
    "stripe_drops": _fails("drop_after"),
    "stripe_refuses": _fails("rate_limit"),
    "stripe_stalls": _fails("stall"),
    "advance_clock": _advance_clock,
}

IMPOSSIBLE: Final = (httpx.HTTPError, stripe.StripeError, RPCError, LookupError, TimeoutError)
"""What an act raises that comes at the wrong time: there is no payment yet, say, or Stripe is down."""
