"""What people are to be told is written with the state it tells of: with it or not at all, and once."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import outbox
from activities.database.transactions import DatabaseError, transaction
from models.domain.actors import PLATFORM, AbsentParty, Actor, Role
from models.domain.endings import (
    Ending,
    EndReason,
    cancelled,
    completed,
    completion_timed_out,
    no_show,
    rejected,
    unanswered,
    unpaid,
)
from models.domain.messages import HoldPhase, PaymentState
from models.domain.notifications import FOR_LATER, NotificationKind, Recipient
from models.domain.states import BookingStatus, IllegalTransition
from models.domain.terms import BookingTerms
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.outbox import OutboxMessage
from tests.activities.bookings import HOUR, NOW, STARTS_AT, Bookings, authorization, ended, held, reserve

STUDENT = Actor(role=Role.STUDENT)
TO_BOTH = {Recipient.STUDENT, Recipient.INSTRUCTOR}
TO_STUDENT = {Recipient.STUDENT}

EndingOf = Callable[[BookingTerms], Ending]


async def told(bookings: Bookings, kind: NotificationKind) -> set[Recipient]:
    return {each.recipient_role for each in await bookings.all(OutboxMessage) if each.kind is kind}


async def kinds(bookings: Bookings) -> set[NotificationKind]:
    return {each.kind for each in await bookings.all(OutboxMessage)}


async def test_nobody_is_told_of_a_booking_that_is_not_paid(bookings: Bookings) -> None:
    await bookings.reserved()
    assert await bookings.all(OutboxMessage) == []


async def test_of_a_paid_booking_both_are_told_by_when_the_instructor_is_to_decide(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    messages = await bookings.all(OutboxMessage)
    assert {(each.kind, each.recipient_id) for each in messages} == {
        (NotificationKind.BOOKING_RECEIVED, terms.student_id),
        (NotificationKind.BOOKING_RECEIVED, terms.instructor_id),
    }
    deadline = authorization(terms).approval_deadline_at
    assert {datetime.fromisoformat(each.facts["until"]) for each in messages} == {deadline}
    assert {each.next_attempt_at for each in messages} == {NOW + HOUR / 4}


async def test_an_approval_is_told_to_both_with_the_reminders_for_later(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    assert await told(bookings, NotificationKind.APPROVED) == TO_BOTH
    due = [
        (each.kind, each.recipient_role, each.next_attempt_at)
        for each in await bookings.all(OutboxMessage)
        if each.kind in FOR_LATER
    ]
    assert sorted(due) == sorted(
        [
            *((NotificationKind.REMINDER_A_DAY, each, STARTS_AT - timedelta(days=1)) for each in TO_BOTH),
            *((NotificationKind.REMINDER_15_MINUTES, each, STARTS_AT - timedelta(minutes=15)) for each in TO_BOTH),
            (NotificationKind.COMPLETION_DUE, Recipient.INSTRUCTOR, terms.ends_at),
            (NotificationKind.COMPLETION_DUE, Recipient.INSTRUCTOR, terms.ends_at + 12 * HOUR),
        ]
    )


@pytest.mark.parametrize(
    ("ending_of", "phase", "kind"),
    [
        (lambda terms: completed(terms, PLATFORM), HoldPhase.CAPTURED, NotificationKind.COMPLETED),
        (lambda terms: no_show(terms, AbsentParty.STUDENT, PLATFORM), HoldPhase.CAPTURED, NotificationKind.NO_SHOW),
        (lambda terms: no_show(terms, AbsentParty.INSTRUCTOR, PLATFORM), HoldPhase.GONE, NotificationKind.NO_SHOW),
        (lambda terms: cancelled(terms, STUDENT, NOW, accepted=True), HoldPhase.GONE, NotificationKind.CANCELLED),
        (completion_timed_out, HoldPhase.GONE, NotificationKind.CANCELLED),
    ],
    ids=["completed", "student absent", "instructor absent", "cancelled", "nobody said"],
)
async def test_the_end_of_a_session_is_told_to_both_and_its_reminders_are_void(
    bookings: Bookings, ending_of: EndingOf, phase: HoldPhase, kind: NotificationKind
) -> None:
    terms = await bookings.accepted()
    ending = ending_of(terms)
    await bookings.records.record_ending(ended(terms, ending, held(terms, phase)))
    assert await told(bookings, kind) == TO_BOTH
    assert await kinds(bookings) == {NotificationKind.BOOKING_RECEIVED, NotificationKind.APPROVED, kind}
    facts = [each.facts for each in await bookings.all(OutboxMessage) if each.kind is kind]
    assert facts == [{"by": ending.actor.role}] * 2


@pytest.mark.parametrize(
    ("ending_of", "kind", "recipients"),
    [
        (lambda terms: rejected(terms, PLATFORM), NotificationKind.REJECTED, TO_STUDENT),
        (unanswered, NotificationKind.EXPIRED, TO_BOTH),
        (lambda terms: cancelled(terms, STUDENT, NOW, accepted=False), NotificationKind.CANCELLED, TO_BOTH),
    ],
    ids=["rejected", "unanswered", "cancelled"],
)
async def test_who_is_told_of_the_end_of_a_paid_booking_that_was_not_approved(
    bookings: Bookings, ending_of: EndingOf, kind: NotificationKind, recipients: set[Recipient]
) -> None:
    terms = await bookings.authorized()
    await bookings.records.record_ending(ended(terms, ending_of(terms), held(terms, HoldPhase.GONE)))
    assert await told(bookings, kind) == recipients


async def test_an_instructor_never_hears_of_a_booking_that_nobody_paid_for(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    ending = cancelled(terms, STUDENT, NOW, accepted=False)
    await bookings.records.record_ending(ended(terms, ending, PaymentState(phase=HoldPhase.CLOSED)))
    assert [each.recipient_id for each in await bookings.all(OutboxMessage)] == [terms.student_id]


async def test_of_a_deleted_booking_the_student_is_told_and_the_mail_has_all_it_needs(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    ending = unpaid(terms, EndReason.CARD_DECLINED, "insufficient_funds")
    await bookings.records.record_ending(ended(terms, ending, PaymentState(phase=HoldPhase.CLOSED)))
    (message,) = await bookings.all(OutboxMessage)
    assert (message.kind, message.recipient_id) == (NotificationKind.UNPAID, terms.student_id)
    assert (message.facts["reason"], message.facts["decline_code"]) == ("card_declined", "insufficient_funds")
    was = BookingRequest.model_validate(message.facts["booking"])
    assert (was.id, was.starts_at, was.price_minor) == (terms.booking_id, terms.starts_at, 10_000)
    assert was.checkout_url is None


async def test_a_transaction_that_fails_tells_nobody(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    before = await bookings.all(OutboxMessage)
    with pytest.raises(IllegalTransition):
        await bookings.records.record_ending(ended(terms, rejected(terms, PLATFORM), held(terms)))
    assert await bookings.all(OutboxMessage) == before


async def test_a_state_whose_mail_cannot_be_written_is_not_written_either(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    async with bookings.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE outbox_message ADD CHECK (kind <> 'approved') NOT VALID")
    with pytest.raises(DatabaseError):
        await bookings.records.record_acceptance(bookings.acceptance(terms))
    assert (await bookings.get(BookingRequest, terms.booking_id)).status is BookingStatus.PENDING


async def test_an_activity_that_runs_again_adds_nothing(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    acceptance = bookings.acceptance(terms)
    await bookings.records.record_acceptance(acceptance)
    before = await bookings.all(OutboxMessage)
    await bookings.records.record_authorization(authorization(terms))
    await bookings.records.record_acceptance(acceptance.model_copy(update={"at": acceptance.at + HOUR}))
    assert await bookings.all(OutboxMessage) == before


async def test_announcing_the_same_twice_adds_nothing_even_where_no_audit_row_guards_it(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    before = await bookings.all(OutboxMessage)
    async with transaction(bookings.engine) as session:
        booking = await session.get_one(BookingRequest, terms.booking_id)
        await outbox.remind(session, booking, NOW + HOUR)
    assert await bookings.all(OutboxMessage) == before


async def _moved(bookings: Bookings, terms: BookingTerms, by: timedelta, at: datetime) -> None:
    """What the record activity of a rescheduling does, as far as it concerns mails."""
    async with AsyncSession(bookings.engine) as session, session.begin():
        booking = await session.get_one(BookingRequest, terms.booking_id)
        live_session = await session.get_one(LiveSession, terms.booking_id)
        previous = booking.starts_at
        assert booking.next_deadline_at is not None
        booking.starts_at += by
        booking.ends_at += by
        booking.next_deadline_at += by
        await outbox.reschedule(session, booking, live_session, previous, at)


async def test_a_moved_session_is_told_of_and_reminded_of_at_its_new_time_only(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await _moved(bookings, terms, timedelta(days=1), NOW + 2 * HOUR)
    assert await told(bookings, NotificationKind.RESCHEDULED) == TO_BOTH
    messages = await bookings.all(OutboxMessage)
    moved = [each for each in messages if each.kind is NotificationKind.RESCHEDULED]
    assert {datetime.fromisoformat(each.facts["previous_starts_at"]) for each in moved} == {STARTS_AT}
    assert {each.due_at for each in messages if each.kind is NotificationKind.REMINDER_A_DAY} == {STARTS_AT}
    assert len([each for each in messages if each.kind in FOR_LATER]) == 6
    assert (await bookings.get(LiveSession, terms.booking_id)).calendar_sequence == 1


async def test_a_session_that_moves_twice_is_told_of_twice(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    for hours in (2, 3):
        await _moved(bookings, terms, timedelta(days=1), NOW + hours * HOUR)
    moved = [each for each in await bookings.all(OutboxMessage) if each.kind is NotificationKind.RESCHEDULED]
    assert len(moved) == 4
    assert (await bookings.get(LiveSession, terms.booking_id)).calendar_sequence == 2


async def test_a_cancelled_session_has_a_later_sequence_and_one_that_took_place_has_not(bookings: Bookings) -> None:
    called_off, took_place = await bookings.accepted(), await bookings.terms(STARTS_AT + 2 * HOUR)
    await bookings.records.reserve_slot(reserve(took_place))
    await bookings.records.record_authorization(authorization(took_place))
    await bookings.records.record_acceptance(bookings.acceptance(took_place))
    await bookings.records.record_ending(
        ended(called_off, completion_timed_out(called_off), held(called_off, HoldPhase.GONE))
    )
    await bookings.records.record_ending(
        ended(took_place, completed(took_place, PLATFORM), held(took_place, HoldPhase.CAPTURED))
    )
    sequences = [
        (await bookings.get(LiveSession, each.booking_id)).calendar_sequence for each in (called_off, took_place)
    ]
    assert sequences == [1, 0]


async def test_an_outbox_message_names_nobody(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await bookings.records.record_ending(ended(terms, completion_timed_out(terms), held(terms, HoldPhase.GONE)))
    written = " ".join(str(each.model_dump()) for each in await bookings.all(OutboxMessage))
    for personal in ("Ada", "Nadia", "example.test", "Counterpoint"):
        assert personal not in written
