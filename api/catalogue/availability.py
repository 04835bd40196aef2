"""When a slot is free. Asked of the bookings alone, so that an abandoned one gives its time back by being gone."""

from uuid import UUID

from sqlalchemy import ColumnElement, ColumnExpressionArgument, func, literal_column
from sqlmodel import col, exists

from models.domain.states import HOLDS_SLOT
from models.tables.bookings import BookingRequest
from models.tables.catalogue import Offering, Slot

# Constants stand in the statement as the constraint has them: of a parameter, the planner could not know whether the
# constraint's index answers it.
_HOLDING: list[ColumnElement[str]] = [literal_column(f"'{status}'") for status in sorted(HOLDS_SLOT)]
_CLOSED: ColumnElement[str] = literal_column("'[]'")


def taken(but_for: UUID | None = None) -> ColumnElement[bool]:
    """Of a query that has `Slot` and its `Offering`: an open booking blocks the slot's time, all buffers counted.

    The booking `but_for` does not count. It is what the constraint `no_double_booking` will say, asked beforehand.
    """
    claims = exists().where(
        _instructor(col(BookingRequest.instructor_id)).bool_op("&&")(_instructor(col(Slot.instructor_id))),
        _blocked(BookingRequest, BookingRequest).bool_op("&&")(_blocked(Slot, Offering)),
        col(BookingRequest.status).in_(_HOLDING),
    )
    return claims if but_for is None else claims.where(col(BookingRequest.id) != but_for)


def _instructor(instructor_id: ColumnExpressionArgument[UUID]) -> ColumnElement[object]:
    return func.uuidrange(instructor_id, instructor_id, _CLOSED)


def _blocked(
    times: type[BookingRequest] | type[Slot], buffers: type[BookingRequest] | type[Offering]
) -> ColumnElement[object]:
    return func.blocked_range(
        col(times.starts_at),
        col(times.ends_at),
        col(buffers.buffer_before_minutes),
        col(buffers.buffer_after_minutes),
    )
