"""What instructors read of a payout: one mail for all that it pays."""

import pytest

from activities.database import outbox
from activities.database.transactions import transaction
from models.domain.notifications import Notification, NotificationKind, Recipient
from models.tables.outbox import OutboxMessage
from models.tables.people import Instructor
from tests.activities.bookings import NOW, Bookings
from tests.activities.mail.test_notifications import html, mail, text


@pytest.mark.parametrize(
    ("notification", "said"),
    [
        (NotificationKind.PAYOUT_PAID, ["80.00 USD have been paid out", "your share of 2 sessions"]),
        (
            NotificationKind.PAYOUT_FAILED,
            ["80.00 USD could not be paid out", "The bank account has been closed.", "Give Stripe another bank"],
        ),
    ],
)
async def test_an_instructor_reads_of_a_payout_and_what_to_do_when_it_came_back(
    bookings: Bookings, notification: NotificationKind, said: list[str]
) -> None:
    await bookings.terms()
    facts = {"amount_minor": 8_000, "currency": "usd", "sessions": 2, "failure_code": "account_closed"}
    async with transaction(bookings.engine) as session:
        told = [Notification(notification, Recipient.INSTRUCTOR)]
        await outbox.announce_payout(session, bookings.instructor_id, "po_1", told, NOW, facts)
        await outbox.announce_payout(session, bookings.instructor_id, "po_1", told, NOW, facts)
    assert len(await bookings.all(OutboxMessage)) == 1
    letter = await mail(bookings, notification, Recipient.INSTRUCTOR)
    instructor = await bookings.get(Instructor, bookings.instructor_id)
    assert letter["To"] == f"Nadia <{instructor.email}>"
    for shown in (text(letter), html(letter)):
        assert [words for words in said if words not in shown] == []
        assert ("connect.stripe.com/express_login" in shown) == (notification is NotificationKind.PAYOUT_FAILED)
