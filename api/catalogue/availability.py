"""Whether a slot is free. Computed from the bookings alone, so that deleting an unpaid one frees its slot."""

from uuid import UUID

from sqlalchemy import ColumnElement, ColumnExpressionArgument, func, literal_column, or_
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import col, exists

from models.blocked_times import overlaps_blocked_time
from models.domain.states import HOLDS_SLOT
from models.tables.bookings import BookingRequest
from models.tables.catalogue import Offering, Slot

# Literals, exactly as in the constraint: with parameters, the planner could not use the constraint's partial index.
_HOLDS_SLOT: list[ColumnElement[str]] = [literal_column(f"'{status}'") for status in sorted(HOLDS_SLOT)]
_CLOSED_BOUNDS: ColumnElement[str] = literal_column("'[]'")


def taken(but_for: UUID | Mapped[UUID] | None = None) -> ColumnElement[bool]:
    """For a query of `Slot` and its `Offering`: whether an open booking or the instructor's own calendar blocks the
    slot's time, buffers included.

    The booking `but_for` is ignored. The constraint `no_double_booking` and the reservation make the same checks.
    """
    # An alias: `but_for` may be a booking of the enclosing query.
    rival = aliased(BookingRequest)
    blocked = exists().where(
        _instructor_range(col(rival.instructor_id)).bool_op("&&")(_instructor_range(col(Slot.instructor_id))),
        _blocked_range(rival, rival).bool_op("&&")(_blocked_range(Slot, Offering)),
        col(rival.status).in_(_HOLDS_SLOT),
    )
    if but_for is not None:
        blocked = blocked.where(col(rival.id) != but_for)
    by_calendar = overlaps_blocked_time(col(Slot.instructor_id), _blocked_range(Slot, Offering))
    return or_(blocked.correlate_except(rival), by_calendar)


def _instructor_range(instructor_id: ColumnExpressionArgument[UUID]) -> ColumnElement[object]:
    return func.uuidrange(instructor_id, instructor_id, _CLOSED_BOUNDS)


def _blocked_range(
    times: type[BookingRequest] | type[Slot], buffers: type[BookingRequest] | type[Offering]
) -> ColumnElement[object]:
    return func.blocked_range(
        col(times.starts_at),
        col(times.ends_at),
        col(buffers.buffer_before_minutes),
        col(buffers.buffer_after_minutes),
    )
