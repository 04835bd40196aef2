"""Bookings that end before their session."""

from sandbox.browser.checkout_page import POOR_CARD, pay
from sandbox.demo.marketplace import Marketplace
from sandbox.demo.steps import (
    IN_TWO_DAYS,
    TOMORROW,
    JourneyResult,
    booking_result,
    opened,
    paid,
    session_result,
    wait_for_start,
)


async def rejected(marketplace: Marketplace) -> JourneyResult:
    async with marketplace.opening(IN_TWO_DAYS) as pair:
        booking_id = await paid(pair)
    await pair.instructor.decide(booking_id, "reject", {"reason": "I am travelling that day."})
    return await booking_result(pair, booking_id, "REJECTED")


async def approval_timeout(marketplace: Marketplace) -> JourneyResult:
    async with marketplace.opening(IN_TWO_DAYS) as pair:
        booking_id = await paid(pair)
    return await booking_result(pair, booking_id, "EXPIRED")


async def authorization_failed(marketplace: Marketplace) -> JourneyResult:
    async with marketplace.opening(IN_TWO_DAYS) as pair:
        booking = await pair.student.book(pair.slot_id)
        await pay(booking["checkout_url"], POOR_CARD)
    response = await pair.student.wait_until(booking["id"], status=410, reason="card_declined")
    return JourneyResult(booking["id"], response)


async def checkout_expired(marketplace: Marketplace) -> JourneyResult:
    async with marketplace.opening(IN_TWO_DAYS) as pair:
        booking = await pair.student.book(pair.slot_id)
    response = await pair.student.wait_until(booking["id"], status=410, reason="checkout_expired")
    return JourneyResult(booking["id"], response)


async def slot_taken(marketplace: Marketplace) -> JourneyResult:
    """The second student is refused. The first one's session is completed."""
    second = await marketplace.student()
    async with marketplace.opening(marketplace.soon) as pair:
        first = await pair.student.book(pair.slot_id)
        refusal = await second.book(pair.slot_id, expect=409)
        await pay(first["checkout_url"])
        await pair.student.wait_until(first["id"], payment__status="PENDING")
        await pair.instructor.decide(first["id"], "approve")
    await wait_for_start(pair)
    await pair.student.decide(first["id"], "confirm")
    await pair.student.wait_until(first["id"], status="COMPLETED")
    return JourneyResult(None, refusal)


async def cancelled_early(marketplace: Marketplace) -> JourneyResult:
    pair, booking_id = await opened(marketplace, IN_TWO_DAYS)
    await pair.student.decide(booking_id, "cancel")
    return await session_result(pair, booking_id, "CANCELLED")


async def cancelled_late(marketplace: Marketplace) -> JourneyResult:
    pair, booking_id = await opened(marketplace, TOMORROW)
    await pair.student.decide(booking_id, "cancel")
    return await session_result(pair, booking_id, "CANCELLED")


async def instructor_cancelled(marketplace: Marketplace) -> JourneyResult:
    pair, booking_id = await opened(marketplace, TOMORROW)
    await pair.instructor.decide(booking_id, "cancel")
    return await session_result(pair, booking_id, "CANCELLED")


async def cancelled_in_temporal(marketplace: Marketplace) -> JourneyResult:
    pair, booking_id = await opened(marketplace, IN_TWO_DAYS)
    await marketplace.temporal.get_workflow_handle(f"booking-{booking_id}").cancel()
    return await session_result(pair, booking_id, "CANCELLED")
