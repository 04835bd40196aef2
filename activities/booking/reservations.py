"""Reserves a booking's slot."""

from sqlalchemy import and_, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking import resets
from activities.database import audit
from activities.database.transactions import transaction
from models import rationing
from models.blocked_times import overlaps_blocked_time
from models.domain.actors import Actor, Role
from models.domain.messages import ReserveSlot
from models.domain.policy import split
from models.domain.rationing import LimitReached, limit_reached
from models.domain.resets import RecordedBooking
from models.domain.states import BookingStatus, advance
from models.tables.bookings import BookingRequest
from models.tables.catalogue import Offering, Slot
from models.tables.people import Instructor, Student


async def reserve(engine: AsyncEngine, message: ReserveSlot) -> bool | LimitReached | RecordedBooking:
    terms = message.terms
    reserved = audit.event(
        terms.booking_id, "booking.reserved", _student(message), message.channel, message.booked_at,
        {
            "slot_id": str(terms.slot_id),
            "instructor_id": str(terms.instructor_id),
            "price_minor": terms.price.amount_minor,
            "currency": terms.price.currency,
        },
    )  # fmt: skip
    async with transaction(engine) as session:
        if message.is_reset:
            return await resets.load(session, terms)
        if await audit.exists(session, reserved):
            return True
        if reached := await _limit_reached(session, message):
            return reached
        if not await _claim(session, message):
            return await session.get(BookingRequest, terms.booking_id) is not None
        await audit.append(session, reserved)
        return True


def _student(message: ReserveSlot) -> Actor:
    return Actor(role=Role.STUDENT, id=message.terms.student_id, token_id=message.token_id)


async def _limit_reached(session: AsyncSession, message: ReserveSlot) -> LimitReached | None:
    """Concurrent reservations of one student are checked one after the other, each with those before it."""
    terms = message.terms
    if message.limits is None:
        return None
    await rationing.lock_student(session, terms.student_id)
    standing = await rationing.standing(
        session, terms.student_id, terms.starts_at, terms.ends_at, message.booked_at, but_for=terms.booking_id
    )
    return limit_reached(message.limits, standing, terms, message.allow_overlap, message.booked_at)


async def _claim(session: AsyncSession, message: ReserveSlot) -> bool:
    """Insert the booking request, unless its time is booked or cannot be booked any more.

    The slot or its offering may be withdrawn, its instructor suspended, or the student's account closed. Each of these
    and a reservation lock the same rows, so each waits for the other. Or the instructor's own calendar blocks the time.
    `ON CONFLICT DO NOTHING` covers exclusion constraints too. Unlike a plain insert, it waits for a concurrent one
    without a deadlock (PostgreSQL, "INSERT: ON CONFLICT clause").
    """
    terms = message.terms
    time = func.blocked_range(
        col(Slot.starts_at),
        col(Slot.ends_at),
        col(Offering.buffer_before_minutes),
        col(Offering.buffer_after_minutes),
    )
    open_offering = (
        select(Offering.title)
        .join(Slot, col(Slot.offering_id) == col(Offering.id))
        .join(Instructor, col(Instructor.id) == col(Slot.instructor_id))
        .join(Student, and_(col(Student.id) == terms.student_id, col(Student.closed_at).is_(None)))
        .where(col(Slot.id) == terms.slot_id, col(Slot.withdrawn_at).is_(None), col(Offering.is_active))
        .where(col(Instructor.suspended_at).is_(None), ~overlaps_blocked_time(col(Slot.instructor_id), time))
        .with_for_update(read=True)
    )
    title = (await session.exec(open_offering)).first()
    if title is None:
        return False
    booking = BookingRequest(
        id=terms.booking_id,
        student_id=terms.student_id,
        instructor_id=terms.instructor_id,
        offering_id=terms.offering_id,
        slot_id=terms.slot_id,
        title=title,
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        buffer_before_minutes=terms.buffer_before_minutes,
        buffer_after_minutes=terms.buffer_after_minutes,
        status=advance(None, BookingStatus.PENDING),
        plan=terms.plan,
        stripe_account_id=terms.stripe_account_id,
        price_minor=terms.price.amount_minor,
        platform_fee_minor=split(terms.price, terms.policy).platform_fee.amount_minor,
        currency=terms.price.currency,
        policy=terms.policy.model_dump(mode="json"),
        is_recorded=terms.is_recorded,
        next_deadline_at=message.checkout_deadline_at,
        created_at=message.booked_at,
        updated_at=message.booked_at,
    )
    statement = (
        insert(BookingRequest).values(booking.model_dump()).on_conflict_do_nothing().returning(col(BookingRequest.id))
    )
    return (await session.exec(statement)).first() is not None
