"""Recordings of a session: the provider's links, for its two people, until the provider deletes the recordings."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.bookings import queries
from api.http.auth import AsEitherSide
from api.http.database import WithDatabase
from api.http.problems import Kind, problem_responses
from api.http.schema_types import ResponseModel
from api.meetings.webhook_events import Report
from models.domain.actors import PLATFORM, Subject
from models.domain.messages import Channel
from models.tables.audit import event_about
from models.tables.bookings import BookingRequest
from models.tables.recordings import Recording

router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["bookings"])


class RecordingLink(ResponseModel):
    url: str
    """Keep it secret: anyone who has it can watch the recording."""
    uploaded_at: datetime
    """When the recording was uploaded."""
    expires_at: datetime
    """When the meeting provider deletes the recording."""


class RecordingLinks(ResponseModel):
    data: list[RecordingLink]
    """Earliest first. Empty if the session may not be recorded."""


@router.get(
    "/recordings",
    operation_id="listRecordings",
    responses=problem_responses(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NOT_FOUND,
        Kind.BOOKING_DELETED,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def list_recordings(booking_id: UUID, caller: AsEitherSide, database: WithDatabase) -> RecordingLinks:
    """Links to the recordings of the session. Download what you want to keep: the links expire."""
    available = (
        select(Recording)
        .where(col(Recording.booking_id) == booking_id, col(Recording.expires_at) > datetime.now(UTC))
        .order_by(col(Recording.uploaded_at), col(Recording.id))
    )
    async with database.reading() as session:
        await queries.existing_booking(session, booking_id, caller)
        rows = (await session.exec(available)).all()
    return RecordingLinks(
        data=[RecordingLink(url=row.url, uploaded_at=row.uploaded_at, expires_at=row.expires_at) for row in rows]
    )


async def keep(session: AsyncSession, booking: BookingRequest, report: Report, kept_for: timedelta) -> None:
    """Store the link, if the booking said that the session may be recorded. Idempotent."""
    if not booking.is_recorded or report.recording_url is None:
        return
    row = Recording(
        id=report.idempotency_key,
        booking_id=booking.id,
        url=report.recording_url,
        uploaded_at=report.at,
        expires_at=report.at + kept_for,
    )
    stored = await session.exec(
        insert(Recording).values(row.model_dump()).on_conflict_do_nothing().returning(col(Recording.id))
    )
    if stored.first() is None:
        return
    detail = {"expires_at": row.expires_at.isoformat()}
    action, now = "booking.recording_kept", datetime.now(UTC)
    session.add(event_about(Subject.BOOKING, booking.id, action, PLATFORM, Channel.API, now, detail, occasion=row.id))
