"""Queries for bookings. Each is a single statement, however many bookings it returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any, cast
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, and_, case, func, literal_column, or_, true, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlmodel import col, exists, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select

from api.bookings.filters import BookingFilter
from api.catalogue.availability import taken
from api.http.auth import Caller
from api.http.pagination import Cursor
from api.http.problems import Kind, Problem
from models.domain.actors import Capability, Role
from models.domain.attendance import Attendance, AttendanceReport, attendance
from models.domain.declines import advice
from models.domain.fraud_warnings import DISMISSED, WARNED
from models.domain.policy import BookingPolicy
from models.domain.session_reports import Verdict, verdict
from models.domain.states import HOLDS_SLOT
from models.tables.audit import AuditEvent
from models.tables.bookings import AttendanceEvent, BookingRequest, LiveSession, RescheduleProposal
from models.tables.catalogue import Offering, Slot
from models.tables.payments import InstructorPayout, Payment, PaymentRenewal
from models.tables.people import Instructor, Student
from models.tables.refunds import Refund
from models.tables.session_reports import SessionReport

_SIGHTINGS = TypeAdapter(tuple[AttendanceReport, ...])
_ATTENDANCE: ColumnElement[Any] = (
    select(
        func.jsonb_agg(
            func.jsonb_build_object(
                *(part for name in AttendanceReport.model_fields for part in (name, getattr(AttendanceEvent, name)))
            )
        )
    )
    .where(col(AttendanceEvent.booking_id) == col(BookingRequest.id))
    .correlate(BookingRequest)
    .scalar_subquery()
)
_REFUNDS: ColumnElement[Any] = (
    select(func.jsonb_agg(aggregate_order_by(func.to_jsonb(literal_column("refund")), col(Refund.created_at))))
    .select_from(Refund)
    .where(col(Refund.booking_id) == col(BookingRequest.id))
    .correlate(BookingRequest)
    .scalar_subquery()
)
_CAN_STILL_MOVE: ColumnElement[bool] = and_(
    col(BookingRequest.status).in_(HOLDS_SLOT),
    col(BookingRequest.starts_at) > func.now(),
    select(Slot.id)
    .join(Offering, col(Offering.id) == col(Slot.offering_id))
    .where(
        col(Slot.id) == col(RescheduleProposal.slot_id),
        col(Slot.withdrawn_at).is_(None),
        col(Slot.starts_at) > func.now(),
        ~taken(but_for=col(BookingRequest.id)),
    )
    .correlate(BookingRequest, RescheduleProposal)
    .exists(),
)
"""A proposal ends when either time begins, or when its slot is taken or withdrawn."""
# SQLModel's `select` is typed for up to four columns.
_JOINED: Select[BookingRequest, LiveSession | None, Payment | None, Any, Any, Any, Any, Any, Any, Any, Any] = cast(
    Any,
    select(BookingRequest, LiveSession, Payment, _ATTENDANCE)
    .add_columns(RescheduleProposal, InstructorPayout, _REFUNDS, SessionReport, PaymentRenewal)
    .add_columns(col(Student.name), col(Instructor.name))
    .join(Student, col(Student.id) == col(BookingRequest.student_id))
    .join(Instructor, col(Instructor.id) == col(BookingRequest.instructor_id))
    .outerjoin(InstructorPayout, col(InstructorPayout.booking_id) == col(BookingRequest.id))
    .outerjoin(LiveSession, col(LiveSession.booking_id) == col(BookingRequest.id))
    .outerjoin(Payment, col(Payment.booking_id) == col(BookingRequest.id))
    .outerjoin(
        PaymentRenewal,
        and_(
            col(PaymentRenewal.booking_id) == col(BookingRequest.id),
            col(PaymentRenewal.closed_at).is_(None),
            col(BookingRequest.status).in_(HOLDS_SLOT),
        ),
    )
    .outerjoin(SessionReport, col(SessionReport.booking_id) == col(BookingRequest.id))
    .outerjoin(
        RescheduleProposal,
        and_(
            col(RescheduleProposal.booking_id) == col(BookingRequest.id),
            # Must match the predicate of the partial index.
            col(RescheduleProposal.status) == literal_column("'OPEN'"),
            _CAN_STILL_MOVE,
        ),
    ),
)
_OPERATOR_ONLY = (
    "booking.needs_attention",
    "booking.attention_cleared",
    "booking.rejection_reason_kept",
    "booking.objection_reason_kept",
    "booking.settlement_reason_kept",
    "booking.adjustment_reason_kept",
    "booking.adjusted",
    "booking.refund_ordered",
    "booking.refund_refused",
    "booking.refund_retried",
    "booking.signal_refused",
    WARNED,
    DISMISSED,
)


@dataclass(frozen=True)
class BookingRecord:
    """A booking with its related rows, from one query."""

    request: BookingRequest
    session: LiveSession | None
    payment: Payment | None
    attendance_rows: list[dict[str, Any]] | None
    """The meeting provider's reports, as aggregated JSON."""
    proposal: RescheduleProposal | None
    """The open one, if the booking can still move to its slot."""
    payout: InstructorPayout | None
    refund_rows: list[dict[str, Any]] | None
    """Refunds after the booking's end, as aggregated JSON."""
    report: SessionReport | None
    renewal: PaymentRenewal | None
    """Only while the student is asked to pay again."""
    """What one side reported of the session."""
    student_name: str
    instructor_name: str
    read_at: datetime = field(default_factory=partial(datetime.now, UTC))

    @property
    def sightings(self) -> tuple[AttendanceReport, ...]:
        return _SIGHTINGS.validate_python(self.attendance_rows or [])

    @property
    def attendance(self) -> Attendance:
        return attendance(self.sightings, self.request.starts_at, self.request.ends_at, self.read_at)

    @property
    def verdict(self) -> Verdict:
        """What the meeting's record shows so far."""
        request = self.request
        policy = BookingPolicy.model_validate(request.policy)
        return verdict(self.attendance, policy, request.ends_at - request.starts_at)

    @property
    def refunds(self) -> tuple[Refund, ...]:
        return tuple(Refund.model_validate(row) for row in self.refund_rows or [])

    @property
    def is_closed(self) -> bool:
        return self.request.status not in HOLDS_SLOT

    @property
    def is_payable(self) -> bool:
        return self.request.checkout_url is not None

    @property
    def is_opening(self) -> bool:
        """The slot is reserved, but there is no Checkout page yet.

        The page's URL is stored before the student is answered, and the Checkout Session's id perhaps later.
        """
        never_opened = self.request.checkout_session_id is None and self.request.checkout_url is None
        return never_opened and self.payment is None and self.request.status in HOLDS_SLOT


class Blocker(StrEnum):
    """Why a student cannot book a slot, apart from its time and price."""

    NO_ACCOUNT = "no_account"
    NOT_VERIFIED = "not_verified"
    TAKEN = "taken"


@dataclass(frozen=True)
class Offer:
    """A slot with everything that decides whether it can be booked."""

    slot: Slot
    offering: Offering
    stripe_account_id: str | None
    transfers: Capability | None
    """The account's capability to receive transfers."""
    blocker: Blocker | None
    is_bookable: bool
    """Whether the offering takes bookings: it is not withdrawn, nor its instructor suspended."""


async def booking(session: AsyncSession, booking_id: UUID, caller: Caller) -> BookingRecord | None:
    """The booking, or `None` if the caller may not see it. Raises the 410 `Problem` if it was deleted."""
    row = (await session.exec(_JOINED.where(BookingRequest.id == booking_id))).first()
    if row is not None:
        record = BookingRecord(*row)
        return record if _may_see(record.request, caller) else None
    if caller.role is Role.STUDENT:
        await _refuse_deleted(session, booking_id, caller.id)
    return None


async def existing_booking(session: AsyncSession, booking_id: UUID, caller: Caller) -> BookingRecord:
    """Raises the 404 or 410 `Problem`. Somebody else's booking is a 404, like one that never existed."""
    record = await booking(session, booking_id, caller)
    if record is None:
        raise Problem(Kind.NOT_FOUND, "There is no such booking.")
    return record


async def booking_by_id(session: AsyncSession, booking_id: UUID) -> BookingRecord | None:
    """Checks no access: only for callers whose access was checked before."""
    row = (await session.exec(_JOINED.where(BookingRequest.id == booking_id))).first()
    return BookingRecord(*row) if row else None


async def paid_on(session: AsyncSession, checkout_session_id: str, student_id: UUID) -> UUID | None:
    """The student's booking that this Checkout Session was opened for, at first or to pay again."""
    is_renewal = exists().where(
        col(PaymentRenewal.booking_id) == col(BookingRequest.id),
        col(PaymentRenewal.checkout_session_id) == checkout_session_id,
    )
    is_paid_on = or_(col(BookingRequest.checkout_session_id) == checkout_session_id, is_renewal)
    statement = select(BookingRequest.id).where(col(BookingRequest.student_id) == student_id, is_paid_on)
    return (await session.exec(statement)).first()


async def name_of(session: AsyncSession, caller: Caller) -> str:
    """The name of a student or an instructor."""
    table = Student if caller.role is Role.STUDENT else Instructor
    return (await session.exec(select(table.name).where(col(table.id) == caller.id))).one()


async def events(session: AsyncSession, booking_id: UUID, caller: Caller, after: int) -> Sequence[AuditEvent]:
    """The events with a `seq` above `after` that the caller may see, oldest first."""
    conditions = [col(AuditEvent.booking_id) == booking_id, col(AuditEvent.seq) > after]
    if caller.role is not Role.OPERATOR:
        conditions.append(col(AuditEvent.action).not_in(_OPERATOR_ONLY))
    return (await session.exec(select(AuditEvent).where(*conditions).order_by(col(AuditEvent.seq)))).all()


async def bookings(
    session: AsyncSession, filters: BookingFilter, after: Cursor | None, limit: int
) -> Sequence[BookingRecord]:
    """Newest first."""
    order = (col(BookingRequest.created_at), col(BookingRequest.id))
    conditions = filters.conditions()
    if after is not None:
        conditions.append(tuple_(*order) < tuple_(after.at, after.id))
    statement = _JOINED.where(*conditions).order_by(*(column.desc() for column in order)).limit(limit)
    return [BookingRecord(*row) for row in await session.exec(statement)]


async def offer(
    session: AsyncSession, slot_id: UUID, student_id: UUID, booking_id: UUID, verified_only: bool
) -> Offer | None:
    """The slot as `student_id` would book it. A claim of `booking_id` itself does not make the slot taken."""
    has_account = exists().where(col(Student.id) == student_id, col(Student.closed_at).is_(None))
    is_verified = has_account.where(col(Student.email_verified_at).is_not(None)) if verified_only else true()
    blocker = case(
        (~has_account, Blocker.NO_ACCOUNT.value),
        (~is_verified, Blocker.NOT_VERIFIED.value),
        (taken(but_for=booking_id), Blocker.TAKEN.value),
        else_=None,
    )
    statement = (
        select(Slot, Offering, Instructor, blocker)
        .join(Offering, col(Offering.id) == col(Slot.offering_id))
        .join(Instructor, col(Instructor.id) == col(Slot.instructor_id))
        .where(col(Slot.id) == slot_id, col(Slot.withdrawn_at).is_(None))
    )
    row = (await session.exec(statement)).first()
    if row is None:
        return None
    slot, offering, instructor, found = row
    is_bookable = offering.is_active and instructor.suspended_at is None
    found = Blocker(found) if found else None
    return Offer(slot, offering, instructor.stripe_account_id, instructor.transfers, found, is_bookable)


def _may_see(request: BookingRequest, caller: Caller) -> bool:
    match caller.role:
        case Role.STUDENT:
            return request.student_id == caller.id
        case Role.INSTRUCTOR:
            return request.instructor_id == caller.id
        case Role.OPERATOR:
            return True
        case Role.PLATFORM:
            return False


async def _refuse_deleted(session: AsyncSession, booking_id: UUID, student_id: UUID) -> None:
    statement = select(AuditEvent.detail).where(
        AuditEvent.booking_id == booking_id, AuditEvent.action == "booking.deleted"
    )
    detail = (await session.exec(statement)).first()
    if detail is None or detail.get("student_id") != str(student_id):
        return
    sentences = ["You were not charged, and the time is available again. To book it, send a new request."]
    if to_do := advice(detail.get("advice_code")):
        sentences.append(to_do)
    raise Problem(
        Kind.BOOKING_DELETED,
        " ".join(sentences),
        reason=detail.get("reason"),
        decline_code=detail.get("decline_code"),
        advice_code=detail.get("advice_code"),
        slot_id=detail.get("slot_id"),
    )
