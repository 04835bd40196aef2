"""The mails about payouts: one per payout, however many bookings it pays."""

import pytest

from activities.database import outbox
from activities.database.transactions import transaction
from models.domain.notifications import Notification, NotificationKind, Recipient
from models.tables.outbox import OutboxMessage
from models.tables.people import Instructor
from tests.activities.bookings import NOW, Bookings
from tests.activities.mail.reading import html, mail, text


@pytest.mark.parametrize(
    ("notification", "expected"),
    [
        (NotificationKind.PAYOUT_PAID, ["80.00 USD have been paid out", "your share of 2 sessions"]),
        (
            NotificationKind.PAYOUT_FAILED,
            ["80.00 USD could not be paid out", "The bank account has been closed.", "Give Stripe another bank"],
        ),
    ],
)
async def test_payout_mail_has_the_amount_and_what_to_do_after_a_failure(
    bookings: Bookings, notification: NotificationKind, expected: list[str]
) -> None:
    await bookings.terms()
    facts = {"amount_minor": 8_000, "currency": "usd", "sessions": 2, "failure_code": "account_closed"}
    async with transaction(bookings.engine) as session:
        notifications = [Notification(notification, Recipient.INSTRUCTOR)]
        await outbox.notify_of_payout(session, bookings.instructor_id, "po_1", notifications, NOW, facts)
        await outbox.notify_of_payout(session, bookings.instructor_id, "po_1", notifications, NOW, facts)
    assert len(await bookings.all(OutboxMessage)) == 1
    payout_mail = await mail(bookings, notification, Recipient.INSTRUCTOR)
    instructor = await bookings.get(Instructor, bookings.instructor_id)
    assert payout_mail["To"] == f"Nadia <{instructor.email}>"
    for shown in (text(payout_mail), html(payout_mail)):
        assert [part for part in expected if part not in shown] == []
        assert ("connect.stripe.com/express_login" in shown) == (notification is NotificationKind.PAYOUT_FAILED)
