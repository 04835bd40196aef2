"""A move is to another room. What was seen in the old one ends with it."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import SignUpRole
from models.domain.attendance import AttendanceKind, AttendanceReport, MeetingProvider, attendance
from models.domain.messages import MoveResult, MoveSlot, Reschedule
from models.domain.proposals import ProposalStatus
from models.domain.terms import BookingTerms
from models.tables.bookings import AttendanceEvent, FormerRoom, LiveSession, RescheduleProposal
from models.tables.catalogue import Slot
from tests.activities.bookings import HOUR, STARTS_AT, Bookings

MINUTE = timedelta(minutes=1)


async def moved(bookings: Bookings, terms: BookingTerms, later: timedelta, at: datetime) -> MoveSlot:
    starts_at = terms.starts_at + later
    slot = Slot(
        offering_id=terms.offering_id, instructor_id=terms.instructor_id, starts_at=starts_at, ends_at=starts_at + HOUR
    )
    proposal = RescheduleProposal(
        booking_id=terms.booking_id,
        slot_id=slot.id,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        proposed_by=SignUpRole.STUDENT,
        status=ProposalStatus.OPEN,
        created_at=at,
    )
    async with AsyncSession(bookings.engine, expire_on_commit=False) as session, session.begin():
        session.add(slot)
        await session.flush()
        session.add(proposal)
    decision = Reschedule(
        actor=bookings.instructor,
        proposal_id=proposal.id,
        slot_id=slot.id,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        from_starts_at=terms.starts_at,
    )
    message = MoveSlot(booking_id=terms.booking_id, decision=decision, deadline_at=slot.ends_at, at=at)
    assert await bookings.records.move_slot(message) is MoveResult.MOVED
    return message


async def report(
    bookings: Bookings, booking_id: UUID, kind: AttendanceKind, role: SignUpRole, connection: str, at: datetime
) -> None:
    event = AttendanceEvent(
        id=str(uuid4()),
        booking_id=booking_id,
        kind=kind,
        role=role,
        connection=connection,
        at=at,
        source=MeetingProvider.JITSI,
    )
    async with AsyncSession(bookings.engine) as session, session.begin():
        session.add(event)


async def test_a_move_is_to_another_room_once(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    first = (await bookings.get(LiveSession, terms.booking_id)).room
    async with AsyncSession(bookings.engine) as session, session.begin():
        session.add(FormerRoom(room="from before a new password", booking_id=terms.booking_id))
    message = await moved(bookings, terms, 24 * HOUR, STARTS_AT - 2 * HOUR)
    assert await bookings.all(FormerRoom) == []
    second = (await bookings.get(LiveSession, terms.booking_id)).room
    assert second != first
    assert await bookings.records.move_slot(message) is MoveResult.MOVED
    assert (await bookings.get(LiveSession, terms.booking_id)).room == second


async def test_whoever_is_in_the_old_room_is_not_present_at_the_new_time(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    early, at = STARTS_AT - 10 * MINUTE, STARTS_AT - 5 * MINUTE
    for kind, role, connection, when in (
        (AttendanceKind.JOINED, SignUpRole.STUDENT, "closed tab", early),
        (AttendanceKind.LEFT, SignUpRole.STUDENT, "closed tab", early + MINUTE),
        (AttendanceKind.JOINED, SignUpRole.STUDENT, "open tab", early),
        (AttendanceKind.JOINED, SignUpRole.INSTRUCTOR, "open tab", early),
    ):
        await report(bookings, terms.booking_id, kind, role, connection, when)
    to = (await moved(bookings, terms, 24 * HOUR, at)).decision
    reports = [
        AttendanceReport.model_validate(event.model_dump(include=set(AttendanceReport.model_fields)))
        for event in await bookings.all(AttendanceEvent)
    ]
    seen = attendance(reports, to.starts_at, to.ends_at, to.ends_at)
    assert seen.student.total == seen.instructor.total == seen.together == timedelta(0)
    ends = {visit.left_at for visit in (*seen.student.visits, *seen.instructor.visits)}
    assert ends == {early + MINUTE, at}
