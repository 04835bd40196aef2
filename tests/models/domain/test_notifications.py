"""Every transition of every record has a decision about who is notified."""

from datetime import UTC, datetime, timedelta

import pytest

from models.domain.notifications import (
    ABOUT_AN_OPEN_REPORT,
    ABOUT_PROPOSALS,
    ABOUT_THE_ACCOUNT,
    NOTIFICATIONS,
    ON_NO_SHOW_REPORTED,
    ON_RENEWAL,
    ON_RENEWAL_REMINDER,
    ON_RENEWED,
    ON_REVIEW,
    SCHEDULED,
    Notification,
    NotificationKind,
    Recipient,
    is_still_true,
    notifications_for,
    scheduled_notifications,
)
from models.domain.states import TRANSITIONS, BookingStatus, IllegalTransition, PaymentStatus, State

STARTS_AT = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
ENDS_AT = STARTS_AT + timedelta(hours=1)
DEADLINE = ENDS_AT + timedelta(hours=24)
OPEN = {BookingStatus.PENDING, BookingStatus.ACCEPTED}
BOTH = (Recipient.STUDENT, Recipient.INSTRUCTOR)
REMINDERS = [
    (NotificationKind.REMINDER_A_DAY, BOTH, STARTS_AT - timedelta(days=1)),
    (NotificationKind.REMINDER_15_MINUTES, BOTH, STARTS_AT - timedelta(minutes=15)),
    (NotificationKind.COMPLETION_DUE, (Recipient.INSTRUCTOR,), ENDS_AT),
    (NotificationKind.COMPLETION_DUE, (Recipient.INSTRUCTOR,), ENDS_AT + timedelta(hours=12)),
]


def transitions(record: str) -> set[tuple[State | None, State | None]]:
    """The transitions of the record's table. In addition, a booking request can be deleted."""
    legal: set[tuple[State | None, State | None]] = {
        (before, after) for before, following in TRANSITIONS[record].items() for after in following
    }
    return legal | ({(BookingStatus.PENDING, None)} if record == "BookingRequest" else set())


def test_every_record_has_a_notification_table() -> None:
    assert set(NOTIFICATIONS) == set(TRANSITIONS)


@pytest.mark.parametrize("record", TRANSITIONS)
def test_notification_table_covers_exactly_the_transitions(record: str) -> None:
    assert set(NOTIFICATIONS[record]) == transitions(record)


def test_every_notification_kind_is_used() -> None:
    on_transitions = {each.notification for table in NOTIFICATIONS.values() for sent in table.values() for each in sent}
    proposals = {each.notification for people in ABOUT_PROPOSALS.values() for each in people}
    reports = {each.notification for each in (*ON_NO_SHOW_REPORTED, *ON_REVIEW)}
    renewals = {each.notification for each in (*ON_RENEWAL, *ON_RENEWAL_REMINDER, *ON_RENEWED)}
    otherwise = reports | proposals | renewals | SCHEDULED | ABOUT_THE_ACCOUNT
    to_operators = {NotificationKind.OPERATOR_DIGEST}
    assert on_transitions | otherwise | to_operators == set(NotificationKind)


@pytest.mark.parametrize("after", [status for status in BookingStatus if status not in OPEN])
def test_student_is_notified_of_every_ending(after: BookingStatus) -> None:
    endings = [sent for (_, to), sent in NOTIFICATIONS["BookingRequest"].items() if to is after]
    assert endings
    for sent in endings:
        assert Recipient.STUDENT in {each.recipient for each in sent}


def test_same_status_of_two_records_is_not_the_same_transition() -> None:
    assert notifications_for(None, PaymentStatus.PENDING) != notifications_for(None, BookingStatus.PENDING)


def test_unknown_transition_raises() -> None:
    with pytest.raises(IllegalTransition, match="from CANCELLED to COMPLETED"):
        notifications_for(BookingStatus.CANCELLED, BookingStatus.COMPLETED)
    with pytest.raises(IllegalTransition):
        notifications_for(None, None)


@pytest.mark.parametrize(
    ("kind", "recipients", "due_at"),
    REMINDERS,
    ids=["both-day before", "both-15 minutes before", "instructor-at the end", "instructor-halfway to the deadline"],
)
def test_reminder_is_sent(kind: NotificationKind, recipients: tuple[Recipient, ...], due_at: datetime) -> None:
    scheduled = scheduled_notifications(STARTS_AT, ENDS_AT, DEADLINE, at=STARTS_AT - timedelta(days=3))
    expected = [(Notification(kind, recipient), due_at) for recipient in recipients]
    assert [each for each in scheduled if each[0].notification is kind and each[1] == due_at] == expected


def test_no_other_reminder_is_sent() -> None:
    assert scheduled_notifications(STARTS_AT, ENDS_AT, DEADLINE, at=STARTS_AT - timedelta(days=3)) == [
        (Notification(kind, recipient), due_at) for kind, recipients, due_at in REMINDERS for recipient in recipients
    ]


@pytest.mark.parametrize(
    ("before_start", "kinds"),
    [
        (timedelta(days=1, seconds=1), SCHEDULED),
        (timedelta(days=1), SCHEDULED - {NotificationKind.REMINDER_A_DAY}),
        (timedelta(minutes=15), {NotificationKind.COMPLETION_DUE}),
    ],
)
def test_past_reminder_is_left_out(before_start: timedelta, kinds: set[NotificationKind]) -> None:
    assert {
        each.notification for each, _ in scheduled_notifications(STARTS_AT, ENDS_AT, DEADLINE, STARTS_AT - before_start)
    } == kinds


@pytest.mark.parametrize("notification", [NotificationKind.REMINDER_A_DAY, NotificationKind.REMINDER_15_MINUTES])
def test_reminder_matters_until_the_session_starts_or_is_cancelled(notification: NotificationKind) -> None:
    just_before = STARTS_AT - timedelta(seconds=1)
    assert is_still_true(notification, BookingStatus.ACCEPTED, STARTS_AT, ENDS_AT, just_before)
    assert not is_still_true(notification, BookingStatus.ACCEPTED, STARTS_AT, ENDS_AT, STARTS_AT)
    assert not is_still_true(notification, BookingStatus.CANCELLED, STARTS_AT, ENDS_AT, just_before)


@pytest.mark.parametrize("notification", sorted(ABOUT_AN_OPEN_REPORT))
def test_question_about_a_closed_session_no_longer_matters(notification: NotificationKind) -> None:
    assert is_still_true(notification, BookingStatus.ACCEPTED, STARTS_AT, ENDS_AT, ENDS_AT)
    assert not is_still_true(notification, BookingStatus.COMPLETED, STARTS_AT, ENDS_AT, ENDS_AT)


TRUE_WHILE: dict[NotificationKind, set[BookingStatus]] = {
    NotificationKind.BOOKING_RECEIVED: {BookingStatus.PENDING},
    NotificationKind.APPROVED: {BookingStatus.ACCEPTED},
    NotificationKind.RESCHEDULE_PROPOSED: OPEN,
    NotificationKind.RESCHEDULE_DECLINED: OPEN,
    NotificationKind.RESCHEDULE_WITHDRAWN: OPEN,
    NotificationKind.RESCHEDULED: OPEN,
    NotificationKind.PAYMENT_RENEWAL: OPEN,
    NotificationKind.PAYMENT_RENEWED: OPEN,
}


@pytest.mark.parametrize("notification", sorted(TRUE_WHILE))
def test_notification_is_superseded_by_the_bookings_next_status(notification: NotificationKind) -> None:
    true = {status for status in BookingStatus if is_still_true(notification, status, STARTS_AT, ENDS_AT, STARTS_AT)}
    assert true == TRUE_WHILE[notification]


def test_confirmation_is_superseded_by_the_sessions_end() -> None:
    assert not is_still_true(NotificationKind.APPROVED, BookingStatus.ACCEPTED, STARTS_AT, ENDS_AT, ENDS_AT)


@pytest.mark.parametrize(
    "notification", sorted(set(NotificationKind) - SCHEDULED - ABOUT_AN_OPEN_REPORT - set(TRUE_WHILE))
)
@pytest.mark.parametrize("status", BookingStatus)
def test_notification_of_an_ending_is_always_true(notification: NotificationKind, status: BookingStatus) -> None:
    assert is_still_true(notification, status, STARTS_AT, ENDS_AT, DEADLINE + timedelta(days=30))
