"""Every journey of a booking, played through the API and Stripe's pages as its people would.

Before the first one, everybody signs up and the instructors are onboarded (`Market.open`). Sessions start in seconds
here, and the platform's windows are seconds (`WINDOWS`); the policy is the default one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sandbox.browser.checkout_page import POOR_CARD, pay
from sandbox.demo.marketplace import WINNING_EVIDENCE, Marketplace, Pair
from sandbox.demo.people import Json, Unexpected

WINDOWS = {
    "HOLDFAST_CHECKOUT_WINDOW": "PT16S",
    "HOLDFAST_DECLINE_GRACE": "PT2S",
    "HOLDFAST_APPROVAL_WINDOW": "PT16S",
    "HOLDFAST_CONTEST_WINDOW": "PT4S",
}
PAIRS = 8
"""Of people: as many as there are journeys whose session begins at the same time."""

_SOON = timedelta(seconds=16)
_SHORTLY = timedelta(seconds=3)
_TOMORROW = timedelta(hours=12)
_IN_TWO_DAYS = timedelta(hours=48)
_CLOCK_STEP = timedelta(milliseconds=200)


@dataclass(frozen=True)
class Expected:
    """How a journey ends, for a price of 100.00 USD. `booking` is `DELETED` where a read answers 410."""

    booking: str | None
    session: str | None
    payment: str | None
    student_paid_minor: int = 0
    instructor_received_minor: int = 0
    platform_kept_minor: int = 0


@dataclass(frozen=True)
class Played:
    """The booking that a journey is about, as its student sees it at the end; none where it was refused."""

    booking_id: str | None
    seen: Json


Play = Callable[[Marketplace], Awaitable[Played]]

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


async def _begun(pair: Pair) -> str:
    """An accepted booking whose session has begun."""
    booking_id = await _accepted(pair)
    await _until_begun(pair)
    return booking_id


async def _until_begun(pair: Pair) -> None:
    time_left = pair.starts_at - datetime.now(UTC) + _CLOCK_STEP
    await asyncio.sleep(max(0.0, time_left.total_seconds()))


async def _ended(pair: Pair, booking_id: str, status: str) -> Played:
    return Played(booking_id, await pair.student.wait_until(booking_id, status=status, session__status=status))


async def _over(pair: Pair, booking_id: str, status: str) -> Played:
    return Played(booking_id, await pair.student.wait_until(booking_id, status=status))


async def completed(marketplace: Marketplace) -> Played:
    pair = await marketplace.pair(_SOON)
    booking_id = await _begun(pair)
    await pair.instructor.decide(booking_id, "complete")
    return await _ended(pair, booking_id, "COMPLETED")


async def rejected(marketplace: Marketplace) -> Played:
    pair = await marketplace.pair(_IN_TWO_DAYS)
    booking_id = await _paid(pair)
    await pair.instructor.decide(booking_id, "reject", {"reason": "I am travelling that day."})
    return await _over(pair, booking_id, "REJECTED")


async def approval_timeout(marketplace: Marketplace) -> Played:
    pair = await marketplace.pair(_IN_TWO_DAYS)
    return await _over(pair, await _paid(pair), "EXPIRED")


async def authorization_failed(marketplace: Marketplace) -> Played:
    pair = await marketplace.pair(_IN_TWO_DAYS)
    booking = await pair.student.book(pair.slot_id)
    await pay(booking["checkout_url"], POOR_CARD)
    seen = await pair.student.wait_until(booking["id"], status=410, reason="card_declined")
    return Played(booking["id"], seen)


async def checkout_expired(marketplace: Marketplace) -> Played:
    pair = await marketplace.pair(_IN_TWO_DAYS)
    booking = await pair.student.book(pair.slot_id)
    return Played(booking["id"], await pair.student.wait_until(booking["id"], status=410, reason="checkout_expired"))


async def slot_taken(marketplace: Marketplace) -> Played:
    """The second student is turned away; the first goes on, to a completed session."""
    second = await marketplace.student()
    pair = await marketplace.pair(_SOON)
    first = await pair.student.book(pair.slot_id)
    refusal = await second.book(pair.slot_id, expect=409)
    await pay(first["checkout_url"])
    await pair.student.wait_until(first["id"], payment__status="PENDING")
    await pair.instructor.decide(first["id"], "approve")
    await _until_begun(pair)
    await pair.instructor.decide(first["id"], "complete")
    await pair.student.wait_until(first["id"], status="COMPLETED")
    return Played(None, refusal)


async def cancelled_early(marketplace: Marketplace) -> Played:
    pair = await marketplace.pair(_IN_TWO_DAYS)
    booking_id = await _accepted(pair)
    await pair.student.decide(booking_id, "cancel")
    return await _ended(pair, booking_id, "CANCELLED")


async def instructor_cancelled(marketplace: Marketplace) -> Played:
    pair = await marketplace.pair(_TOMORROW)
    booking_id = await _accepted(pair)
    await pair.instructor.decide(booking_id, "cancel")
    return await _ended(pair, booking_id, "CANCELLED")


async def instructor_no_show(marketplace: Marketplace) -> Played:
    pair = await marketplace.pair(_SOON)
    booking_id = await _begun(pair)
    await pair.student.decide(booking_id, "no-show", {"absent": "instructor"})
    return await _ended(pair, booking_id, "NO_SHOW")


async def cancelled_late(marketplace: Marketplace) -> Played:
    pair = await marketplace.pair(_TOMORROW)
    booking_id = await _accepted(pair)
    await pair.student.decide(booking_id, "cancel")
    return await _ended(pair, booking_id, "CANCELLED")


async def student_no_show(marketplace: Marketplace) -> Played:
    pair = await marketplace.pair(_SOON)
    booking_id = await _begun(pair)
    await pair.instructor.decide(booking_id, "no-show", {"absent": "student"})
    return await _ended(pair, booking_id, "NO_SHOW")


async def no_show_contested(marketplace: Marketplace) -> Played:
    """The instructor says that the student did not come; the meeting's record says that both were there."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _accepted(pair)
    await pair.instructor.join(booking_id)
    await pair.student.join(booking_id)
    await _until_begun(pair)
    await pair.instructor.decide(booking_id, "no-show", {"absent": "student"})
    await pair.student.decide(booking_id, "no-show/contest")
    return await _ended(pair, booking_id, "COMPLETED")


async def completion_timeout(marketplace: Marketplace) -> Played:
    """Nobody says anything. The deadline after the shortest session is a day off, so an operator moves it nearer."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _begun(pair)
    until = datetime.now(UTC) + _SHORTLY
    await marketplace.operator().call(
        "POST", f"/operator/bookings/{booking_id}/extend", json={"until": until.isoformat()}
    )
    return await _ended(pair, booking_id, "CANCELLED")


async def cancelled_in_temporal(marketplace: Marketplace) -> Played:
    pair = await marketplace.pair(_IN_TWO_DAYS)
    booking_id = await _accepted(pair)
    await marketplace.temporal.get_workflow_handle(f"booking-{booking_id}").cancel()
    return await _ended(pair, booking_id, "CANCELLED")


async def disputed_lost(marketplace: Marketplace) -> Played:
    """The student's bank takes it all back, and an operator lets it."""
    pair = await marketplace.pair(_SOON)
    booking_id, dispute_id = await _disputed(marketplace, pair)
    await marketplace.operator().call("POST", f"/operator/disputes/{dispute_id}/accept")
    return Played(booking_id, await pair.student.wait_until(booking_id, payment__status="REFUNDED"))


async def disputed_won(marketplace: Marketplace) -> Played:
    """An operator takes over and answers at Stripe, with evidence that convinces the bank."""
    pair = await marketplace.pair(_SOON)
    booking_id, dispute_id = await _disputed(marketplace, pair)
    await marketplace.operator().call("POST", f"/operator/disputes/{dispute_id}/take-over")
    await marketplace.answer_at_stripe(dispute_id, WINNING_EVIDENCE)
    return Played(booking_id, await pair.student.wait_until(booking_id, payment__status="CAPTURED"))


async def _disputed(marketplace: Marketplace, pair: Pair) -> tuple[str, str]:
    """A completed booking, and the dispute of its charge."""
    booking_id = await _completed(pair)
    dispute_id = await marketplace.dispute(booking_id)
    await pair.student.wait_until(booking_id, payment__status="DISPUTED")
    return booking_id, dispute_id


async def worker_killed(marketplace: Marketplace) -> Played:
    """The worker dies while the money is held; what was waiting goes on with the next one."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _paid(pair)
    await marketplace.stack.kill_worker()
    await marketplace.stack.start_worker()
    await pair.instructor.decide(booking_id, "approve")
    await _until_begun(pair)
    await pair.instructor.decide(booking_id, "complete")
    return await _ended(pair, booking_id, "COMPLETED")


async def webhooks_lost(marketplace: Marketplace) -> Played:
    """None of Stripe's events about the booking arrives: the reconciliation brings what they would have."""
    pair = await marketplace.pair(_SOON)
    await marketplace.order("/deliveries", {"lost": ["*"]})
    try:
        booking = await pair.student.book(pair.slot_id)
        await pay(booking["checkout_url"])
        run = await marketplace.reconcile()
        if not run["events_redelivered"]:
            # The workflow looks by itself, too, only later.
            raise Unexpected(f"the reconciliation brought nothing: {run}")
        await pair.student.wait_until(booking["id"], payment__status="PENDING")
        await pair.instructor.decide(booking["id"], "approve")
        await _until_begun(pair)
        await pair.instructor.decide(booking["id"], "complete")
        return await _ended(pair, booking["id"], "COMPLETED")
    finally:
        await marketplace.order("/deliveries", {})


async def refunded_after_completion(marketplace: Marketplace) -> Played:
    """Half of it, when the instructor's share has been paid out already."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _completed(pair)
    await marketplace.payday()
    await pair.instructor.wait_for_payout(booking_id, "PAID")
    half = {"amount_minor": 5_000, "reason": "Half of the lesson was lost to a broken microphone."}
    await marketplace.operator().call("POST", f"/operator/bookings/{booking_id}/refund", json=half)
    return Played(booking_id, await pair.student.wait_until(booking_id, payment__status="PARTIALLY_REFUNDED"))


async def payout_failed_then_paid(marketplace: Marketplace) -> Played:
    """The bank sends the payout back; the instructor names another account, and the next payout arrives."""
    pair = await marketplace.pair(_SOON)
    booking_id = await _completed(pair)
    await marketplace.payday()
    payout = await pair.instructor.wait_for_payout(booking_id, "PAID")
    await marketplace.order(f"/payouts/{payout['stripe_payout_id']}/fail", {"failure_code": "account_closed"})
    await pair.instructor.wait_for_payout(booking_id, "FAILED")
    await marketplace.give_bank_account(pair.instructor)
    await marketplace.let_payouts_arrive()
    await pair.instructor.wait_for_payout(booking_id, "PAID")
    return Played(booking_id, await pair.student.see(booking_id))


async def _completed(pair: Pair) -> str:
    booking_id = await _begun(pair)
    await pair.instructor.decide(booking_id, "complete")
    await _ended(pair, booking_id, "COMPLETED")
    return booking_id


TOGETHER: dict[Play, Expected] = {
    completed: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    rejected: Expected("REJECTED", None, "REFUNDED"),
    approval_timeout: Expected("EXPIRED", None, "REFUNDED"),
    authorization_failed: Expected("DELETED", None, "FAILED"),
    checkout_expired: Expected("DELETED", None, "FAILED"),
    slot_taken: Expected(None, None, None),
    cancelled_early: Expected("CANCELLED", "CANCELLED", "REFUNDED"),
    instructor_cancelled: Expected("CANCELLED", "CANCELLED", "REFUNDED"),
    instructor_no_show: Expected("NO_SHOW", "NO_SHOW", "REFUNDED"),
    cancelled_late: Expected("CANCELLED", "CANCELLED", "PARTIALLY_REFUNDED", *_HALF),
    student_no_show: Expected("NO_SHOW", "NO_SHOW", "PARTIALLY_REFUNDED", *_HALF),
    completion_timeout: Expected("CANCELLED", "CANCELLED", "REFUNDED"),
    cancelled_in_temporal: Expected("CANCELLED", "CANCELLED", "REFUNDED"),
    no_show_contested: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    disputed_lost: Expected("COMPLETED", "COMPLETED", "REFUNDED"),
    disputed_won: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
}
ALONE: dict[Play, Expected] = {
    worker_killed: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    webhooks_lost: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
}
"""One by one after the others: each takes away what they all need, the worker or Stripe's events."""
AT_LAST: dict[Play, Expected] = {
    refunded_after_completion: Expected("COMPLETED", "COMPLETED", "PARTIALLY_REFUNDED", *_HALF),
    payout_failed_then_paid: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
}
"""Together, when nothing else is played any more: they move Stripe's time ahead, for everybody."""
ALL = TOGETHER | ALONE | AT_LAST
