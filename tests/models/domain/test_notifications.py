"""Somebody has decided, for every move of every record, who is told of it."""

from datetime import UTC, datetime, timedelta

import pytest

from models.domain.notifications import (
    ABOUT_THE_ACCOUNT,
    FOR_LATER,
    ON_NO_SHOW_REPORTED,
    ON_RESCHEDULING,
    TOLD,
    Notification,
    NotificationKind,
    Recipient,
    later,
    still_matters,
    told,
)
from models.domain.states import TRANSITIONS, BookingStatus, IllegalTransition, PaymentStatus, State

STARTS_AT = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
ENDS_AT = STARTS_AT + timedelta(hours=1)
DEADLINE = ENDS_AT + timedelta(hours=24)
WHILE_OPEN = {BookingStatus.PENDING, BookingStatus.ACCEPTED}


def moves(record: str) -> set[tuple[State | None, State | None]]:
    """Those of the table of states; a booking request can be deleted besides."""
    legal: set[tuple[State | None, State | None]] = {
        (before, after) for before, following in TRANSITIONS[record].items() for after in following
    }
    return legal | ({(BookingStatus.PENDING, None)} if record == "BookingRequest" else set())


def test_every_record_has_its_notices() -> None:
    assert set(TOLD) == set(TRANSITIONS)


@pytest.mark.parametrize("record", TRANSITIONS)
def test_somebody_has_decided_about_every_move_and_about_no_other(record: str) -> None:
    assert set(TOLD[record]) == moves(record)


def test_every_notice_is_given_at_some_time() -> None:
    given = {each.notification for moves in TOLD.values() for people in moves.values() for each in people}
    at_no_move = (
        {each.notification for each in (*ON_RESCHEDULING, *ON_NO_SHOW_REPORTED)} | FOR_LATER | ABOUT_THE_ACCOUNT
    )
    assert given | at_no_move == set(NotificationKind)


@pytest.mark.parametrize("after", [status for status in BookingStatus if status not in WHILE_OPEN])
def test_a_student_is_told_of_every_end_of_a_booking(after: BookingStatus) -> None:
    ends = [people for (_, to), people in TOLD["BookingRequest"].items() if to is after]
    assert ends
    for people in ends:
        assert Recipient.STUDENT in {each.recipient for each in people}


def test_equal_words_of_two_records_are_two_moves() -> None:
    assert told(None, PaymentStatus.PENDING) != told(None, BookingStatus.PENDING)


def test_a_move_that_no_table_has_is_refused() -> None:
    with pytest.raises(IllegalTransition, match="from CANCELLED to COMPLETED"):
        told(BookingStatus.CANCELLED, BookingStatus.COMPLETED)
    with pytest.raises(IllegalTransition):
        told(None, None)


def test_both_are_reminded_before_and_the_instructor_asked_after_the_session_and_again_before_the_deadline() -> None:
    what = later(STARTS_AT, ENDS_AT, DEADLINE, at=STARTS_AT - timedelta(days=3))
    both = (Recipient.STUDENT, Recipient.INSTRUCTOR)
    ask = Notification(NotificationKind.COMPLETION_DUE, Recipient.INSTRUCTOR)
    assert what == [
        *((Notification(NotificationKind.REMINDER_A_DAY, each), STARTS_AT - timedelta(days=1)) for each in both),
        *(
            (Notification(NotificationKind.REMINDER_15_MINUTES, each), STARTS_AT - timedelta(minutes=15))
            for each in both
        ),
        (ask, ENDS_AT),
        (ask, ENDS_AT + timedelta(hours=12)),
    ]


@pytest.mark.parametrize(
    ("before_start", "kinds"),
    [
        (timedelta(days=1, seconds=1), FOR_LATER),
        (timedelta(days=1), FOR_LATER - {NotificationKind.REMINDER_A_DAY}),
        (timedelta(minutes=15), {NotificationKind.COMPLETION_DUE}),
    ],
)
def test_a_reminder_whose_time_has_passed_when_the_session_is_agreed_is_left_out(
    before_start: timedelta, kinds: set[NotificationKind]
) -> None:
    assert {each.notification for each, _ in later(STARTS_AT, ENDS_AT, DEADLINE, STARTS_AT - before_start)} == kinds


@pytest.mark.parametrize("notification", [NotificationKind.REMINDER_A_DAY, NotificationKind.REMINDER_15_MINUTES])
def test_a_reminder_matters_until_the_session_begins_or_is_called_off(notification: NotificationKind) -> None:
    just_before = STARTS_AT - timedelta(seconds=1)
    assert still_matters(notification, BookingStatus.ACCEPTED, STARTS_AT, just_before)
    assert not still_matters(notification, BookingStatus.ACCEPTED, STARTS_AT, STARTS_AT)
    assert not still_matters(notification, BookingStatus.CANCELLED, STARTS_AT, just_before)


@pytest.mark.parametrize("notification", [NotificationKind.COMPLETION_DUE, NotificationKind.NO_SHOW_REPORTED])
def test_nobody_is_asked_about_a_session_that_is_closed(notification: NotificationKind) -> None:
    assert still_matters(notification, BookingStatus.ACCEPTED, STARTS_AT, ENDS_AT)
    assert not still_matters(notification, BookingStatus.COMPLETED, STARTS_AT, ENDS_AT)


@pytest.mark.parametrize(
    "notification", sorted(set(NotificationKind) - FOR_LATER - {NotificationKind.NO_SHOW_REPORTED})
)
@pytest.mark.parametrize("status", BookingStatus)
def test_what_has_happened_is_told_however_late(notification: NotificationKind, status: BookingStatus) -> None:
    assert still_matters(notification, status, STARTS_AT, DEADLINE + timedelta(days=30))
