"""What the API writes by itself; all that becomes of a booking is written by its workflow's activities."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.catalogue import OfferingRecord
from api.catalogue_shapes import NewOffering
from api.problems import Kind, Problem
from models.states import BookingStatus
from models.tables import BookingRequest, Instructor, Offering, Slot


async def keep_rejection_reason(session: AsyncSession, booking_id: UUID, reason: str) -> None:
    """Kept for a booking that is still undecided; shown once it is rejected."""
    undecided = (col(BookingRequest.id) == booking_id, col(BookingRequest.status) == BookingStatus.PENDING)
    await session.exec(update(BookingRequest).where(*undecided).values(rejection_reason=reason))


async def add_offering(
    session: AsyncSession, instructor_id: UUID, wanted: NewOffering, now: datetime
) -> OfferingRecord:
    """Raises the 403 `Problem` for a token without an account."""
    instructor = await session.get(Instructor, instructor_id)
    if instructor is None:
        raise Problem(Kind.NO_ACCOUNT)
    offering = Offering(
        instructor_id=instructor_id,
        title=wanted.title,
        description=wanted.description,
        duration_minutes=wanted.duration_minutes,
        buffer_before_minutes=wanted.buffer_before_minutes,
        buffer_after_minutes=wanted.buffer_after_minutes,
        price_minor=wanted.price.amount_minor,
        currency=wanted.price.currency,
        cancellation=wanted.cancellation_policy.model_dump(mode="json"),
        created_at=now,
    )
    session.add(offering)
    await session.flush()
    return OfferingRecord(offering, instructor)


async def add_slots(session: AsyncSession, offering: Offering, starts: Sequence[datetime]) -> None:
    """A slot that is there already is left as it is."""
    lasts = timedelta(minutes=offering.duration_minutes)
    rows = [
        Slot(
            offering_id=offering.id,
            instructor_id=offering.instructor_id,
            starts_at=starts_at,
            ends_at=starts_at + lasts,
        ).model_dump()
        for starts_at in starts
    ]
    await session.exec(insert(Slot).values(rows).on_conflict_do_nothing())
