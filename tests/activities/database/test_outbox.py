"""Notifications are inserted once, in the transaction of the change that they report."""

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
    approval_timed_out,
    cancelled,
    completed,
    completion_timed_out,
    no_show,
    rejected,
    unpaid,
)
from models.domain.notifications import SCHEDULED, NotificationKind, Recipient
from models.domain.payments import HoldPhase, PaymentState
from models.domain.states import BookingStatus, IllegalTransition
from models.domain.terms import BookingTerms
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.outbox import OutboxMessage
from tests.activities.bookings import HOUR, NOW, STARTS_AT, Bookings, authorization, ended, held, reserve

STUDENT = Actor(role=Role.STUDENT)
TO_BOTH = {Recipient.STUDENT, Recipient.INSTRUCTOR}
TO_STUDENT = {Recipient.STUDENT}

EndingOf = Callable[[BookingTerms], Ending]


async def recipients_of(bookings: Bookings, kind: NotificationKind) -> set[Recipient | None]:
    return {each.recipient_role for each in await bookings.all(OutboxMessage) if each.kind is kind}


async def kinds(bookings: Bookings) -> set[NotificationKind]:
    return {each.kind for each in await bookings.all(OutboxMessage)}


async def test_unpaid_booking_sends_no_notifications(bookings: Bookings) -> None:
    await bookings.reserved()
    assert await bookings.all(OutboxMessage) == []


async def test_both_are_notified_of_a_paid_booking_with_the_approval_deadline(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    messages = await bookings.all(OutboxMessage)
    assert {(each.kind, each.recipient_id) for each in messages} == {
        (NotificationKind.BOOKING_RECEIVED, terms.student_id),
        (NotificationKind.BOOKING_RECEIVED, terms.instructor_id),
    }
    deadline = authorization(terms).approval_deadline_at
    assert {datetime.fromisoformat(each.facts["until"]) for each in messages} == {deadline}
    assert {each.next_attempt_at for each in messages} == {NOW + HOUR / 4}


async def test_approval_notifies_both_and_schedules_reminders(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    assert await recipients_of(bookings, NotificationKind.APPROVED) == TO_BOTH
    due = [
        (each.kind, each.recipient_role, each.next_attempt_at)
        for each in await bookings.all(OutboxMessage)
        if each.kind in SCHEDULED
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
    ids=["completed", "student absent", "instructor absent", "cancelled", "timed out"],
)
async def test_ending_of_a_session_notifies_both_and_deletes_reminders(
    bookings: Bookings, ending_of: EndingOf, phase: HoldPhase, kind: NotificationKind
) -> None:
    terms = await bookings.accepted()
    ending = ending_of(terms)
    await bookings.records.record_ending(ended(terms, ending, held(terms, phase)))
    assert await recipients_of(bookings, kind) == TO_BOTH
    assert await kinds(bookings) == {NotificationKind.BOOKING_RECEIVED, NotificationKind.APPROVED, kind}
    facts = [each.facts for each in await bookings.all(OutboxMessage) if each.kind is kind]
    assert facts == [{"by": ending.actor.role}] * 2


@pytest.mark.parametrize(
    ("ending_of", "kind", "recipients"),
    [
        (lambda terms: rejected(terms, PLATFORM), NotificationKind.REJECTED, TO_STUDENT),
        (approval_timed_out, NotificationKind.EXPIRED, TO_BOTH),
        (lambda terms: cancelled(terms, STUDENT, NOW, accepted=False), NotificationKind.CANCELLED, TO_BOTH),
    ],
    ids=["rejected", "unanswered", "cancelled"],
)
async def test_recipients_when_a_paid_booking_ends_before_approval(
    bookings: Bookings, ending_of: EndingOf, kind: NotificationKind, recipients: set[Recipient]
) -> None:
    terms = await bookings.authorized()
    await bookings.records.record_ending(ended(terms, ending_of(terms), held(terms, HoldPhase.GONE)))
    assert await recipients_of(bookings, kind) == recipients


async def test_instructor_is_not_notified_of_an_unpaid_booking(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    ending = cancelled(terms, STUDENT, NOW, accepted=False)
    await bookings.records.record_ending(ended(terms, ending, PaymentState(phase=HoldPhase.CLOSED)))
    assert [each.recipient_id for each in await bookings.all(OutboxMessage)] == [terms.student_id]


async def test_student_is_notified_of_a_deleted_booking_with_a_snapshot_of_it(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    ending = unpaid(terms, EndReason.CARD_DECLINED, "insufficient_funds")
    await bookings.records.record_ending(ended(terms, ending, PaymentState(phase=HoldPhase.CLOSED)))
    (message,) = await bookings.all(OutboxMessage)
    assert (message.kind, message.recipient_id) == (NotificationKind.UNPAID, terms.student_id)
    assert (message.facts["reason"], message.facts["decline_code"]) == ("card_declined", "insufficient_funds")
    deleted = BookingRequest.model_validate(message.facts["booking"])
    assert (deleted.id, deleted.starts_at, deleted.price_minor) == (terms.booking_id, terms.starts_at, 10_000)
    assert deleted.checkout_url is None


async def test_failed_transaction_sends_no_notifications(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    before = await bookings.all(OutboxMessage)
    with pytest.raises(IllegalTransition):
        await bookings.records.record_ending(ended(terms, rejected(terms, PLATFORM), held(terms)))
    assert await bookings.all(OutboxMessage) == before


async def test_state_is_rolled_back_if_its_notification_cannot_be_inserted(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    async with bookings.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE outbox_message ADD CHECK (kind <> 'approved') NOT VALID")
    with pytest.raises(DatabaseError):
        await bookings.records.record_acceptance(bookings.acceptance(terms))
    assert (await bookings.get(BookingRequest, terms.booking_id)).status is BookingStatus.PENDING


async def test_repeated_activity_adds_no_notifications(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    acceptance = bookings.acceptance(terms)
    await bookings.records.record_acceptance(acceptance)
    before = await bookings.all(OutboxMessage)
    await bookings.records.record_authorization(authorization(terms))
    await bookings.records.record_acceptance(acceptance.model_copy(update={"at": acceptance.at + HOUR}))
    assert await bookings.all(OutboxMessage) == before


async def test_repeated_insert_adds_nothing_even_without_an_audit_event(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    before = await bookings.all(OutboxMessage)
    async with transaction(bookings.engine) as session:
        booking = await session.get_one(BookingRequest, terms.booking_id)
        await outbox.schedule_reminders(session, booking, NOW + HOUR)
    assert await bookings.all(OutboxMessage) == before


async def _move(bookings: Bookings, terms: BookingTerms, by: timedelta, at: datetime) -> None:
    """The part of the `move_slot` activity that concerns notifications."""
    async with AsyncSession(bookings.engine) as session, session.begin():
        booking = await session.get_one(BookingRequest, terms.booking_id)
        live_session = await session.get_one(LiveSession, terms.booking_id)
        previous = booking.starts_at
        assert booking.next_deadline_at is not None
        booking.starts_at += by
        booking.ends_at += by
        booking.next_deadline_at += by
        await outbox.reschedule(session, booking, live_session, previous, at)


async def test_rescheduling_notifies_both_and_moves_the_reminders(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await _move(bookings, terms, timedelta(days=1), NOW + 2 * HOUR)
    assert await recipients_of(bookings, NotificationKind.RESCHEDULED) == TO_BOTH
    messages = await bookings.all(OutboxMessage)
    moved = [each for each in messages if each.kind is NotificationKind.RESCHEDULED]
    assert {datetime.fromisoformat(each.facts["previous_starts_at"]) for each in moved} == {STARTS_AT}
    assert {each.due_at for each in messages if each.kind is NotificationKind.REMINDER_A_DAY} == {STARTS_AT}
    assert len([each for each in messages if each.kind in SCHEDULED]) == 6
    assert (await bookings.get(LiveSession, terms.booking_id)).calendar_sequence == 1


async def test_each_rescheduling_is_notified(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    for hours in (2, 3):
        await _move(bookings, terms, timedelta(days=1), NOW + hours * HOUR)
    moved = [each for each in await bookings.all(OutboxMessage) if each.kind is NotificationKind.RESCHEDULED]
    assert len(moved) == 4
    assert (await bookings.get(LiveSession, terms.booking_id)).calendar_sequence == 2


async def test_calendar_sequence_increases_on_cancellation_and_not_on_completion(bookings: Bookings) -> None:
    cancelled_session, took_place = await bookings.accepted(), await bookings.terms(STARTS_AT + 2 * HOUR)
    await bookings.records.reserve_slot(reserve(took_place))
    await bookings.records.record_authorization(authorization(took_place))
    await bookings.records.record_acceptance(bookings.acceptance(took_place))
    await bookings.records.record_ending(
        ended(cancelled_session, completion_timed_out(cancelled_session), held(cancelled_session, HoldPhase.GONE))
    )
    await bookings.records.record_ending(
        ended(took_place, completed(took_place, PLATFORM), held(took_place, HoldPhase.CAPTURED))
    )
    sequences = [
        (await bookings.get(LiveSession, each.booking_id)).calendar_sequence for each in (cancelled_session, took_place)
    ]
    assert sequences == [1, 0]


async def test_outbox_rows_contain_no_personal_data(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await bookings.records.record_ending(ended(terms, completion_timed_out(terms), held(terms, HoldPhase.GONE)))
    stored = " ".join(str(each.model_dump()) for each in await bookings.all(OutboxMessage))
    for personal in ("Ada", "Nadia", "example.test", "Counterpoint"):
        assert personal not in stored
