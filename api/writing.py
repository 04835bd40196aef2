"""What the API writes of a booking by itself; all else is written by the workflow's activities."""

from uuid import UUID

from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from models.states import BookingStatus
from models.tables import BookingRequest


async def keep_rejection_reason(session: AsyncSession, booking_id: UUID, reason: str) -> None:
    """Kept for a booking that is still undecided; shown once it is rejected."""
    undecided = (col(BookingRequest.id) == booking_id, col(BookingRequest.status) == BookingStatus.PENDING)
    await session.exec(update(BookingRequest).where(*undecided).values(rejection_reason=reason))
