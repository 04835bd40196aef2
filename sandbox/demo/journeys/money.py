"""Disputes, refunds and payouts after a session, and what is done in Stripe's dashboard."""

from sandbox.demo.marketplace import WINNING_EVIDENCE, Marketplace, Pair
from sandbox.demo.steps import TOMORROW, JourneyResult, confirmed, opened, session_result


async def disputed_lost(marketplace: Marketplace) -> JourneyResult:
    """The student disputes the charge, and an operator accepts the dispute."""
    pair, booking_id, dispute_id = await _disputed(marketplace)
    await marketplace.operator().call("POST", f"/operator/disputes/{dispute_id}/accept")
    return JourneyResult(booking_id, await pair.student.wait_until(booking_id, payment__status="REFUNDED"))


async def disputed_won(marketplace: Marketplace) -> JourneyResult:
    """An operator takes the dispute over and wins it, with evidence submitted at Stripe."""
    pair, booking_id, dispute_id = await _disputed(marketplace)
    await marketplace.operator().call("POST", f"/operator/disputes/{dispute_id}/take-over")
    await marketplace.submit_evidence(dispute_id, WINNING_EVIDENCE)
    return JourneyResult(booking_id, await pair.student.wait_until(booking_id, payment__status="CAPTURED"))


async def _disputed(marketplace: Marketplace) -> tuple[Pair, str, str]:
    """A completed booking and the dispute of its charge."""
    pair, booking_id = await confirmed(marketplace)
    dispute_id = await marketplace.dispute(booking_id)
    await pair.student.wait_until(booking_id, payment__status="DISPUTED")
    return pair, booking_id, dispute_id


async def refunded_after_completion(marketplace: Marketplace) -> JourneyResult:
    """An operator refunds half, after the instructor's share was paid out."""
    pair, booking_id = await confirmed(marketplace)
    await marketplace.wait_for_payouts()
    await pair.instructor.wait_for_payout(booking_id, "PAID")
    half = {"amount_minor": 5_000, "reason": "Half of the lesson was lost to a broken microphone."}
    await marketplace.operator().call("POST", f"/operator/bookings/{booking_id}/refund", json=half)
    return JourneyResult(booking_id, await pair.student.wait_until(booking_id, payment__status="PARTIALLY_REFUNDED"))


async def payout_failed_then_paid(marketplace: Marketplace) -> JourneyResult:
    """The bank returns the payout. The instructor adds another bank account, and the next payout arrives."""
    pair, booking_id = await confirmed(marketplace)
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
    pair, booking_id = await confirmed(marketplace)
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
    pair, booking_id = await opened(marketplace, TOMORROW)
    async with marketplace.reconciling:
        payment = await marketplace.payment_intent(booking_id)
        await marketplace.stripe.v1.payment_intents.capture_async(payment.id)
        await pair.student.decide(booking_id, "cancel")
        await session_result(pair, booking_id, "CANCELLED")
        await marketplace.return_fee(booking_id, 500)
        await marketplace.adjust(booking_id)
    return JourneyResult(booking_id, await pair.student.get_booking(booking_id))
