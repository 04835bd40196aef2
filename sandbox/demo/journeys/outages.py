"""The worker dies, and Stripe's events are lost."""

from datetime import timedelta

from sandbox.browser.checkout_page import pay
from sandbox.demo.marketplace import Marketplace
from sandbox.demo.people import Unexpected
from sandbox.demo.steps import JourneyResult, paid, session_result, wait_for_start

_NEW_WORKER = timedelta(seconds=20)
"""Long enough for a new worker to start and the instructor to approve."""


async def worker_killed(marketplace: Marketplace) -> JourneyResult:
    """The worker dies while the money is held. A new worker continues the booking."""
    async with marketplace.outage:
        pair = await marketplace.pair(_NEW_WORKER)
        booking_id = await paid(pair)
        await marketplace.stack.kill_worker()
        await marketplace.stack.start_worker()
    await pair.instructor.decide(booking_id, "approve")
    await wait_for_start(pair)
    await pair.student.decide(booking_id, "confirm")
    return await session_result(pair, booking_id, "COMPLETED")


async def webhooks_lost(marketplace: Marketplace) -> JourneyResult:
    """None of Stripe's events about the booking arrives. The reconciliation redelivers them."""
    async with marketplace.reconciling, marketplace.opening(2 * marketplace.soon) as pair:
        booking = await pair.student.book(pair.slot_id)
        await marketplace.control_stripe("/deliveries", {"lost": ["*"], "about": booking["id"]})
        await pay(booking["checkout_url"])
        await marketplace.reconcile()
        if not await marketplace.received_events(booking["id"]):
            # The workflow polls Stripe, too, but later.
            raise Unexpected("the reconciliation brought nothing")
        await pair.student.wait_until(booking["id"], payment__status="PENDING")
        await pair.instructor.decide(booking["id"], "approve")
    await wait_for_start(pair)
    await pair.student.decide(booking["id"], "confirm")
    return await session_result(pair, booking["id"], "COMPLETED")
