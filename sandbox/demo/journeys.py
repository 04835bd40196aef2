"""Every journey of a booking, through the API and Stripe's pages, as students and instructors would take it.

Before the first journey, everyone signs up and the instructors are onboarded (`Marketplace.open`). Sessions start
within seconds and the platform's windows last seconds (`WINDOWS`). The policy is the default one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sandbox.browser.checkout_page import POOR_CARD, pay
from sandbox.demo.marketplace import SESSION_LENGTH, WINNING_EVIDENCE, Marketplace, Pair
from sandbox.demo.people import Json, Person, Unexpected

WINDOWS = {
    "HOLDFAST_CHECKOUT_WINDOW": "PT16S",
    "HOLDFAST_DECLINE_GRACE": "PT2S",
    "HOLDFAST_APPROVAL_WINDOW": "PT16S",
    "HOLDFAST_CONTEST_WINDOW": "PT4S",
    "HOLDFAST_OBJECTION_WINDOW": "PT4S",
}
UNLIMITED = {"HOLDFAST_MAX_UNPAID": "0", "HOLDFAST_MAX_UNPAID_PER_INSTRUCTOR": "0"}
"""Each pair of people is in several journeys at a time."""
PAIRS = 14
"""As many as there are journeys whose sessions start at the same time."""

_SOON = timedelta(seconds=16)
_SHORTLY = timedelta(seconds=3)
_TOMORROW = timedelta(hours=12)
_IN_TWO_DAYS = timedelta(hours=48)
_CLOCK_STEP = timedelta(milliseconds=200)


@dataclass(frozen=True)
class Expected:
    """The outcome of a journey, for a price of 100.00 USD. `booking` is `DELETED` if a read returns 410."""

    booking: str | None
    session: str | None
    payment: str | None
    student_paid_minor: int = 0
    instructor_received_minor: int = 0
    platform_kept_minor: int = 0


@dataclass(frozen=True)
class JourneyResult:
    """What the API returns to the student at the end of a journey."""

    booking_id: str | None
    """None if the booking was refused."""
    response: Json


Journey = Callable[[Marketplace], Awaitable[JourneyResult]]

_PAID = (10_000, 8_000, 2_000)
_HALF = (5_000, 4_000, 1_000)


async def _paid(pair: Pair) -> str:
    """A booking whose money is held."""
    booking = await pair.student.book(pair.slot_id)
    await pay(booking["checkout_url"])
    await pair.student.wait_until(booking["id"], payment__status="PENDING")
    return str(booking["id"])


async def _accepted(pair: Pair) -> str:
    booking_id = await _paid(pair)
    await pair.instructor.decide(booking_id, "approve")
    return booking_id


async def _started(pair: Pair) -> str:
    """An accepted booking whose session has started."""
    booking_id = await _accepted(pair)
    await _wait_for_start(pair)
    return booking_id


async def _ended(pair: Pair, *present: Person) -> str:
    """An accepted booking whose session is over. Those who are `present` were in the meeting all the time."""
    booking_id = await _accepted(pair)
    for person in present:
        await person.join(booking_id)
    await _wait_until(pair.starts_at + SESSION_LENGTH)
    return booking_id


async def _wait_for_start(pair: Pair) -> None:
    await _wait_until(pair.starts_at)


async def _wait_until(time: datetime) -> None:
    time_left = time - datetime.now(UTC) + _CLOCK_STEP
    await asyncio.sleep(max(0.0, time_left.total_seconds()))


async def _session_result(pair: Pair, booking_id: str, status: str) -> JourneyResult:
    return JourneyResult(booking_id, await pair.student.wait_until(booking_id, status=status, session__status=status))


async def _booking_result(pair: Pair, booking_id: str, status: str) -> JourneyResult:
    return JourneyResult(booking_id, await pair.student.wait_until(booking_id, status=status))


async def completed(marketplace: Marketplace) -> JourneyResult:
    """The meeting's record has both of them: captured at once."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _ended(pair, pair.student, pair.instructor)
    booking = await pair.instructor.decide(booking_id, "complete")
    if booking["status"] != "COMPLETED":
        raise Unexpected(f"the completion was not captured at once: {booking}")
    return await _session_result(pair, booking_id, "COMPLETED")


async def completed_unseen(marketplace: Marketplace) -> JourneyResult:
    """The meeting's record has nothing, and the student does not object."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _reported_as_completed(pair)
    return await _session_result(pair, booking_id, "COMPLETED")


async def completed_confirmed(marketplace: Marketplace) -> JourneyResult:
    """The student confirms the session, before its end."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _completed(pair)
    return JourneyResult(booking_id, await pair.student.get_booking(booking_id))


async def completed_contradicted(marketplace: Marketplace) -> JourneyResult:
    """The instructor never came and reports a completion. The student, who was there, says nothing."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _reported_as_completed(pair, pair.student)
    return await _session_result(pair, booking_id, "NO_SHOW")


async def completed_objected(marketplace: Marketplace) -> JourneyResult:
    """The student objects, the meeting's record has nothing, and an operator refunds half."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _reported_as_completed(pair)
    await pair.student.decide(booking_id, "object", {"reason": "We only spoke for half an hour, by phone."})
    operator = marketplace.operator()
    booking = await operator.get_booking(booking_id)
    if not booking["needs_attention"]:
        raise Unexpected(f"no operator is asked about the objection: {booking}")
    await operator.call("POST", f"/operator/bookings/{booking_id}/refund", json={"amount_minor": 5_000})
    return await _session_result(pair, booking_id, "COMPLETED")


async def _reported_as_completed(pair: Pair, *present: Person) -> str:
    """A session whose completion the meeting's record does not show, so the student can object."""
    booking_id = await _ended(pair, *present)
    booking = await pair.instructor.decide(booking_id, "complete")
    if booking["session"]["status"] != "COMPLETION_REPORTED":
        raise Unexpected(f"the student was not asked about the completion: {booking}")
    return booking_id


async def rejected(marketplace: Marketplace) -> JourneyResult:
    pair = await marketplace.pair(_IN_TWO_DAYS)
    booking_id = await _paid(pair)
    await pair.instructor.decide(booking_id, "reject", {"reason": "I am travelling that day."})
    return await _booking_result(pair, booking_id, "REJECTED")


async def approval_timeout(marketplace: Marketplace) -> JourneyResult:
    pair = await marketplace.pair(_IN_TWO_DAYS)
    return await _booking_result(pair, await _paid(pair), "EXPIRED")


async def authorization_failed(marketplace: Marketplace) -> JourneyResult:
    pair = await marketplace.pair(_IN_TWO_DAYS)
    booking = await pair.student.book(pair.slot_id)
    await pay(booking["checkout_url"], POOR_CARD)
    response = await pair.student.wait_until(booking["id"], status=410, reason="card_declined")
    return JourneyResult(booking["id"], response)


async def checkout_expired(marketplace: Marketplace) -> JourneyResult:
    pair = await marketplace.pair(_IN_TWO_DAYS)
    booking = await pair.student.book(pair.slot_id)
    response = await pair.student.wait_until(booking["id"], status=410, reason="checkout_expired")
    return JourneyResult(booking["id"], response)


async def slot_taken(marketplace: Marketplace) -> JourneyResult:
    """The second student is refused. The first one's session is completed."""
    second = await marketplace.student()
    pair = await marketplace.pair(_SOON)
    first = await pair.student.book(pair.slot_id)
    refusal = await second.book(pair.slot_id, expect=409)
    await pay(first["checkout_url"])
    await pair.student.wait_until(first["id"], payment__status="PENDING")
    await pair.instructor.decide(first["id"], "approve")
    await _wait_for_start(pair)
    await pair.student.decide(first["id"], "confirm")
    await pair.student.wait_until(first["id"], status="COMPLETED")
    return JourneyResult(None, refusal)


async def cancelled_early(marketplace: Marketplace) -> JourneyResult:
    pair = await marketplace.pair(_IN_TWO_DAYS)
    booking_id = await _accepted(pair)
    await pair.student.decide(booking_id, "cancel")
    return await _session_result(pair, booking_id, "CANCELLED")


async def instructor_cancelled(marketplace: Marketplace) -> JourneyResult:
    pair = await marketplace.pair(_TOMORROW)
    booking_id = await _accepted(pair)
    await pair.instructor.decide(booking_id, "cancel")
    return await _session_result(pair, booking_id, "CANCELLED")


async def instructor_no_show(marketplace: Marketplace) -> JourneyResult:
    pair = await marketplace.pair(_SOON)
    booking_id = await _ended(pair)
    await pair.student.decide(booking_id, "no-show", {"absent": "instructor"})
    return await _session_result(pair, booking_id, "NO_SHOW")


async def cancelled_late(marketplace: Marketplace) -> JourneyResult:
    pair = await marketplace.pair(_TOMORROW)
    booking_id = await _accepted(pair)
    await pair.student.decide(booking_id, "cancel")
    return await _session_result(pair, booking_id, "CANCELLED")


async def student_no_show(marketplace: Marketplace) -> JourneyResult:
    pair = await marketplace.pair(_SOON)
    booking_id = await _ended(pair)
    await pair.instructor.decide(booking_id, "no-show", {"absent": "student"})
    return await _session_result(pair, booking_id, "NO_SHOW")


async def no_show_contested(marketplace: Marketplace) -> JourneyResult:
    """The instructor reports a no-show of the student, but the meeting's record has both of them."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _ended(pair, pair.student, pair.instructor)
    await pair.instructor.decide(booking_id, "no-show", {"absent": "student"})
    await pair.student.decide(booking_id, "no-show/contest")
    return await _session_result(pair, booking_id, "COMPLETED")


async def completion_timeout(marketplace: Marketplace) -> JourneyResult:
    """Nobody reports anything. The deadline is a day away, so an operator moves it closer."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _ended(pair)
    until = datetime.now(UTC) + _SHORTLY
    await marketplace.operator().call(
        "POST", f"/operator/bookings/{booking_id}/extend", json={"until": until.isoformat()}
    )
    return await _session_result(pair, booking_id, "CANCELLED")


async def cancelled_in_temporal(marketplace: Marketplace) -> JourneyResult:
    pair = await marketplace.pair(_IN_TWO_DAYS)
    booking_id = await _accepted(pair)
    await marketplace.temporal.get_workflow_handle(f"booking-{booking_id}").cancel()
    return await _session_result(pair, booking_id, "CANCELLED")


async def reset_after_settlement(marketplace: Marketplace) -> JourneyResult:
    """The workflow of a captured booking is reset to its start, with the button in Temporal's UI. Nothing moves."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _completed(pair)
    await marketplace.reset_to_start(f"booking-{booking_id}")
    return await _session_result(pair, booking_id, "COMPLETED")


async def disputed_lost(marketplace: Marketplace) -> JourneyResult:
    """The student disputes the charge, and an operator accepts the dispute."""
    pair = await marketplace.pair(_SOON)
    booking_id, dispute_id = await _disputed(marketplace, pair)
    await marketplace.operator().call("POST", f"/operator/disputes/{dispute_id}/accept")
    return JourneyResult(booking_id, await pair.student.wait_until(booking_id, payment__status="REFUNDED"))


async def disputed_won(marketplace: Marketplace) -> JourneyResult:
    """An operator takes the dispute over and wins it, with evidence submitted at Stripe."""
    pair = await marketplace.pair(_SOON)
    booking_id, dispute_id = await _disputed(marketplace, pair)
    await marketplace.operator().call("POST", f"/operator/disputes/{dispute_id}/take-over")
    await marketplace.submit_evidence(dispute_id, WINNING_EVIDENCE)
    return JourneyResult(booking_id, await pair.student.wait_until(booking_id, payment__status="CAPTURED"))


async def _disputed(marketplace: Marketplace, pair: Pair) -> tuple[str, str]:
    """A completed booking and the dispute of its charge."""
    booking_id = await _completed(pair)
    dispute_id = await marketplace.dispute(booking_id)
    await pair.student.wait_until(booking_id, payment__status="DISPUTED")
    return booking_id, dispute_id


async def worker_killed(marketplace: Marketplace) -> JourneyResult:
    """The worker dies while the money is held. A new worker continues the booking."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _paid(pair)
    await marketplace.stack.kill_worker()
    await marketplace.stack.start_worker()
    await pair.instructor.decide(booking_id, "approve")
    await _wait_for_start(pair)
    await pair.student.decide(booking_id, "confirm")
    return await _session_result(pair, booking_id, "COMPLETED")


async def webhooks_lost(marketplace: Marketplace) -> JourneyResult:
    """None of Stripe's events about the booking arrives. The reconciliation redelivers them."""
    pair = await marketplace.pair(_SOON)
    await marketplace.control_stripe("/deliveries", {"lost": ["*"]})
    try:
        booking = await pair.student.book(pair.slot_id)
        await pay(booking["checkout_url"])
        run = await marketplace.reconcile()
        if not run["events_redelivered"]:
            # The workflow polls Stripe, too, but later.
            raise Unexpected(f"the reconciliation brought nothing: {run}")
        await pair.student.wait_until(booking["id"], payment__status="PENDING")
        await pair.instructor.decide(booking["id"], "approve")
        await _wait_for_start(pair)
        await pair.student.decide(booking["id"], "confirm")
        return await _session_result(pair, booking["id"], "COMPLETED")
    finally:
        await marketplace.control_stripe("/deliveries", {})


async def refunded_after_completion(marketplace: Marketplace) -> JourneyResult:
    """An operator refunds half, after the instructor's share was paid out."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _completed(pair)
    await marketplace.wait_for_payouts()
    await pair.instructor.wait_for_payout(booking_id, "PAID")
    half = {"amount_minor": 5_000, "reason": "Half of the lesson was lost to a broken microphone."}
    await marketplace.operator().call("POST", f"/operator/bookings/{booking_id}/refund", json=half)
    return JourneyResult(booking_id, await pair.student.wait_until(booking_id, payment__status="PARTIALLY_REFUNDED"))


async def payout_failed_then_paid(marketplace: Marketplace) -> JourneyResult:
    """The bank returns the payout. The instructor adds another bank account, and the next payout arrives."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _completed(pair)
    await marketplace.wait_for_payouts()
    payout = await pair.instructor.wait_for_payout(booking_id, "PAID")
    await marketplace.control_stripe(f"/payouts/{payout['stripe_payout_id']}/fail", {"failure_code": "account_closed"})
    await pair.instructor.wait_for_payout(booking_id, "FAILED")
    await marketplace.add_bank_account(pair.instructor)
    await marketplace.advance_to_payout()
    await pair.instructor.wait_for_payout(booking_id, "PAID")
    return JourneyResult(booking_id, await pair.student.get_booking(booking_id))


async def refunded_by_script(marketplace: Marketplace) -> JourneyResult:
    """A support script refunds half, with a label of ours. Its refund is adopted."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _completed(pair)
    payment = await marketplace.payment_intent(booking_id)
    await marketplace.stripe.v1.refunds.create_async(
        {
            "payment_intent": payment.id,
            "amount": 5_000,
            "reverse_transfer": True,
            "refund_application_fee": True,
            "metadata": {"bookingRequestId": booking_id},
        }
    )
    return JourneyResult(booking_id, await pair.student.wait_until(booking_id, payment__status="PARTIALLY_REFUNDED"))


async def captured_in_dashboard(marketplace: Marketplace) -> JourneyResult:
    """All of the hold is captured in the dashboard, then the student cancels late. Half of the fee is returned there
    too, once the booking has ended, which an operator settles by an adjustment."""
    pair = await marketplace.pair(_TOMORROW)
    booking_id = await _accepted(pair)
    payment = await marketplace.payment_intent(booking_id)
    await marketplace.stripe.v1.payment_intents.capture_async(payment.id)
    await pair.student.decide(booking_id, "cancel")
    await _session_result(pair, booking_id, "CANCELLED")
    await marketplace.return_fee(booking_id, 500)
    await marketplace.adjust(booking_id)
    return JourneyResult(booking_id, await pair.student.get_booking(booking_id))


async def _completed(pair: Pair) -> str:
    """A session that the student confirmed."""
    booking_id = await _started(pair)
    await pair.student.decide(booking_id, "confirm")
    await _session_result(pair, booking_id, "COMPLETED")
    return booking_id


CONCURRENT: dict[Journey, Expected] = {
    completed: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    completed_unseen: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    completed_confirmed: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    completed_contradicted: Expected("NO_SHOW", "NO_SHOW", "REFUNDED"),
    completed_objected: Expected("COMPLETED", "COMPLETED", "PARTIALLY_REFUNDED", *_HALF),
    rejected: Expected("REJECTED", None, "REFUNDED"),
    approval_timeout: Expected("EXPIRED", None, "REFUNDED"),
    authorization_failed: Expected("DELETED", None, "FAILED"),
    checkout_expired: Expected("DELETED", None, "FAILED"),
    slot_taken: Expected(None, None, None),
    cancelled_early: Expected("CANCELLED", "CANCELLED", "REFUNDED"),
    instructor_cancelled: Expected("CANCELLED", "CANCELLED", "REFUNDED"),
    instructor_no_show: Expected("NO_SHOW", "NO_SHOW", "REFUNDED"),
    cancelled_late: Expected("CANCELLED", "CANCELLED", "PARTIALLY_REFUNDED", *_HALF),
    student_no_show: Expected("NO_SHOW", "NO_SHOW", "CAPTURED", *_PAID),
    completion_timeout: Expected("CANCELLED", "CANCELLED", "REFUNDED"),
    cancelled_in_temporal: Expected("CANCELLED", "CANCELLED", "REFUNDED"),
    reset_after_settlement: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    no_show_contested: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    disputed_lost: Expected("COMPLETED", "COMPLETED", "REFUNDED"),
    disputed_won: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    refunded_by_script: Expected("COMPLETED", "COMPLETED", "PARTIALLY_REFUNDED", *_HALF),
}
EXCLUSIVE: dict[Journey, Expected] = {
    worker_killed: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    webhooks_lost: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    captured_in_dashboard: Expected("CANCELLED", "CANCELLED", "PARTIALLY_REFUNDED", 5_000, 4_500, 500),
}
"""Run one by one after those: each takes away something that all need, the worker or Stripe's events, or reconciles."""
LAST: dict[Journey, Expected] = {
    refunded_after_completion: Expected("COMPLETED", "COMPLETED", "PARTIALLY_REFUNDED", *_HALF),
    payout_failed_then_paid: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
}
"""Run concurrently, after all others: they advance Stripe's clock for every booking."""
ALL = CONCURRENT | EXCLUSIVE | LAST
