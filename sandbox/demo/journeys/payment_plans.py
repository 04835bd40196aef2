"""Sessions beyond a card hold, holds that do not last, and payment methods other than cards.

A session weeks ahead is charged when it is booked. To take place within the demo, it is moved: its plan stays.
"""

from datetime import timedelta
from functools import partial

from sandbox.browser.checkout_page import pay, pay_with
from sandbox.demo.marketplace import WINNING_EVIDENCE, Marketplace, Pair
from sandbox.demo.people import Json, Unexpected
from sandbox.demo.steps import (
    IN_MONTHS,
    IN_TWO_DAYS,
    IN_WEEKS,
    TONIGHT,
    JourneyResult,
    booking_result,
    moved,
    opened,
    paid,
    session_result,
    started,
    wait_for_start,
)

_BEYOND_LIMIT = 2 * IN_MONTHS
"""A platform may keep funds for 90 days in most countries."""


async def far_completed(marketplace: Marketplace) -> JourneyResult:
    """Charged when it was booked, weeks ahead. The instructor's share is transferred after the session."""
    _, result = await _far_confirmed(marketplace)
    return result


async def far_rejected(marketplace: Marketplace) -> JourneyResult:
    """The charge is refunded in full."""
    async with marketplace.opening(IN_MONTHS) as pair:
        booking_id = await paid(pair)
    _check_plan(await pair.student.get_booking(booking_id))
    await pair.instructor.decide(booking_id, "reject", {"reason": "I am travelling that day."})
    return await booking_result(pair, booking_id, "REJECTED")


async def far_cancelled_half(marketplace: Marketplace) -> JourneyResult:
    """Both move the session to tonight. Then the student cancels: half is refunded, of the rest a part transferred."""
    pair, booking_id = await _far_accepted(marketplace, IN_MONTHS)
    await moved(marketplace, pair, booking_id, TONIGHT)
    await pair.student.decide(booking_id, "cancel")
    return await session_result(pair, booking_id, "CANCELLED")


async def far_refunded_after_completion(marketplace: Marketplace) -> JourneyResult:
    """An operator refunds half, and the instructor's part of it is taken back from the transfer."""
    pair, result = await _far_confirmed(marketplace)
    half = {"amount_minor": 5_000, "reason": "Half of the lesson was lost to a broken microphone."}
    await marketplace.operator().call("POST", f"/operator/bookings/{result.booking_id}/refund", json=half)
    booking_id = str(result.booking_id)
    return JourneyResult(booking_id, await pair.student.wait_until(booking_id, payment__status="PARTIALLY_REFUNDED"))


async def far_disputed_before_transfer(marketplace: Marketplace) -> JourneyResult:
    """The student disputes the charge before the session, which stops the transfer until the dispute is won."""
    pair, booking_id = await _far_accepted(marketplace, IN_WEEKS)
    dispute_id = await marketplace.dispute(booking_id)
    await pair.student.wait_until(booking_id, payment__status="DISPUTED")
    pair = await moved(marketplace, pair, booking_id, marketplace.soon / 2)
    await wait_for_start(pair)
    await pair.student.decide(booking_id, "confirm")
    await marketplace.operator().wait_until(booking_id, needs_attention=True)
    if transfers := await marketplace.transfers(booking_id):
        raise Unexpected(f"the share of a disputed charge was transferred: {transfers}")
    await marketplace.operator().call("POST", f"/operator/disputes/{dispute_id}/take-over")
    await marketplace.submit_evidence(dispute_id, WINNING_EVIDENCE)
    return JourneyResult(
        booking_id, await pair.student.wait_until(booking_id, status="COMPLETED", payment__status="CAPTURED")
    )


async def hold_too_short_switched(marketplace: Marketplace) -> JourneyResult:
    """The session is moved beyond its hold. The student pays again, and only then is the hold released."""
    pair, booking_id = await opened(marketplace, IN_TWO_DAYS)
    hold = await marketplace.payment_intent(booking_id)
    pair = await moved(marketplace, pair, booking_id, IN_WEEKS)
    url = await pair.student.wait_for_renewal(booking_id)
    await _check_status(marketplace, hold.id, "requires_capture")
    await pay(url)
    await pair.student.wait_until(booking_id, payment__plan="CHARGE_THEN_TRANSFER")
    await _check_status(marketplace, hold.id, "canceled")
    pair = await moved(marketplace, pair, booking_id, marketplace.soon / 2)
    return await _confirmed(pair, booking_id)


async def hold_lapsed_paid_later(marketplace: Marketplace) -> JourneyResult:
    """Stripe ends the hold during the session, which takes place. The student pays with the link that they get."""
    pair, booking_id = await started(marketplace)
    hold = await marketplace.payment_intent(booking_id)
    await marketplace.control_stripe(f"/payment_intents/{hold.id}/cancel", {"cancellation_reason": "automatic"})
    # The outcome waits for the payment.
    await pair.student.decide(booking_id, "confirm", expect=202)
    await pay(await pair.student.wait_for_renewal(booking_id))
    return await session_result(pair, booking_id, "COMPLETED")


async def klarna_completed(marketplace: Marketplace) -> JourneyResult:
    """The student pays on Klarna's page, which holds the money as a card does."""
    async with marketplace.opening(marketplace.soon) as pair:
        booking_id = await paid(pair, partial(pay_with, method="klarna"))
        await pair.instructor.decide(booking_id, "approve")
    return await _confirmed(pair, booking_id)


async def beyond_limit_refused(marketplace: Marketplace) -> JourneyResult:
    """The platform may not keep funds that long. The refusal says from when on the slot can be booked."""
    async with marketplace.opening(_BEYOND_LIMIT) as pair:
        refusal = await pair.student.book(pair.slot_id, expect=422)
    if not refusal["type"].endswith("session-too-far-ahead") or not refusal["bookable_from"]:
        raise Unexpected(f"refused for another reason: {refusal}")
    return JourneyResult(None, refusal)


async def _far_accepted(marketplace: Marketplace, starts_in: timedelta) -> tuple[Pair, str]:
    pair, booking_id = await opened(marketplace, starts_in)
    _check_plan(await pair.student.get_booking(booking_id))
    return pair, booking_id


async def _far_confirmed(marketplace: Marketplace) -> tuple[Pair, JourneyResult]:
    pair, booking_id = await _far_accepted(marketplace, IN_WEEKS)
    pair = await moved(marketplace, pair, booking_id, marketplace.soon / 2)
    return pair, await _confirmed(pair, booking_id)


async def _confirmed(pair: Pair, booking_id: str) -> JourneyResult:
    await wait_for_start(pair)
    await pair.student.decide(booking_id, "confirm")
    return await session_result(pair, booking_id, "COMPLETED")


def _check_plan(booking: Json) -> None:
    if booking["payment"]["plan"] != "CHARGE_THEN_TRANSFER":
        raise Unexpected(f"a session weeks ahead is not charged when it is booked: {booking}")


async def _check_status(marketplace: Marketplace, payment_intent_id: str, status: str) -> None:
    payment = await marketplace.stripe.v1.payment_intents.retrieve_async(payment_intent_id)
    if payment.status != status:
        raise Unexpected(f"{payment_intent_id} is {payment.status} instead of {status}")
