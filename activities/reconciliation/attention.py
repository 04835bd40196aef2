"""Keeps Temporal's list of what needs attention as the records have it, also for bookings whose workflow has ended."""

from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from temporalio import activity

from activities.database.transactions import transaction
from models.domain.messages import AttentionCase
from models.domain.money import Money
from models.settings import operator_page
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment


class AttentionList(Protocol):
    """Temporal's list of open workflows with `NeedsAttention`."""

    async def shown(self) -> dict[UUID, AttentionCase | None]:
        """What the list shows of each booking; `None` if its own workflow is parked. It may lag behind by seconds."""

    async def show(self, case: AttentionCase, title: str) -> None:
        """Show the case, or what has changed of it."""

    async def end(self, booking_id: UUID) -> None:
        """End what `show` began. Nothing happens if it has ended."""


async def show(engine: AsyncEngine, attention: AttentionList, pages_url: str | None) -> None:
    """One list and one query, however many bookings there are, and a call for each that has changed.

    `pages_url` is the API's address, if it has pages.
    """
    shown = await attention.shown()
    cases = await _cases(engine, pages_url)
    for booking_id, (case, title) in cases.items():
        is_parked = booking_id in shown and shown[booking_id] is None
        if not is_parked and shown.get(booking_id) != case:
            await attention.show(case, title)
            activity.heartbeat()
    for booking_id, shown_case in shown.items():
        if shown_case is not None and booking_id not in cases:
            await attention.end(booking_id)
            activity.heartbeat()


async def _cases(engine: AsyncEngine, pages_url: str | None) -> dict[UUID, tuple[AttentionCase, str]]:
    """The bookings that need attention, with their titles, which enter no message."""
    query = (
        select(BookingRequest, Payment)
        .outerjoin(Payment, col(Payment.booking_id) == col(BookingRequest.id))
        .where(col(BookingRequest.needs_attention))
    )
    async with transaction(engine) as session:
        rows = await session.exec(query)
        return {booking.id: (_case(booking, payment, pages_url), booking.title) for booking, payment in rows}


def _case(booking: BookingRequest, payment: Payment | None, pages_url: str | None) -> AttentionCase:
    return AttentionCase(
        booking_id=booking.id,
        reason=booking.attention_reason or "",
        student_id=booking.student_id,
        instructor_id=booking.instructor_id,
        starts_at=booking.starts_at,
        price=Money(amount_minor=booking.price_minor, currency=booking.currency),
        booking_status=booking.status,
        payment_status=payment.status if payment else None,
        checkout_session_id=booking.checkout_session_id,
        payment_intent_id=payment.payment_intent_id if payment else None,
        page_url=operator_page(pages_url, booking.id) if pages_url else None,
    )
