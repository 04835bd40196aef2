"""Bookings that are paid, as the activities store them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from models.domain.policy import PaymentPlan
from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
from models.tables.bookings import LiveSession
from models.tables.payments import Payment
from tests.api.world import PRICE, World


async def paid(world: World, starts_in: timedelta, plan: PaymentPlan = PaymentPlan.HOLD, **fields: Any) -> UUID:
    """The price is held, or charged and not transferred. An accepted booking has its session."""
    booking_id = await world.booking(await world.slot(starts_in), plan=plan, **fields)
    now = datetime.now(UTC)
    await world.add(
        Payment(
            booking_id=booking_id,
            plan=plan,
            status=PaymentStatus.PENDING,
            amount_minor=PRICE.amount_minor,
            platform_fee_minor=2_000,
            currency=PRICE.currency,
            payment_intent_id=f"pi_{booking_id}",
            created_at=now,
            updated_at=now,
        )
    )
    if fields.get("status") is BookingStatus.ACCEPTED:
        await world.add(
            LiveSession(
                booking_id=booking_id,
                status=SessionStatus.SCHEDULED,
                room=f"room-{booking_id}",
                total_price_minor=10_000,
                platform_fee_minor=2_000,
                instructor_payout_minor=8_000,
                currency=PRICE.currency,
                created_at=now,
                updated_at=now,
            )
        )
    return booking_id
