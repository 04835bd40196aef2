"""What a recipient reads of a notification."""

from datetime import datetime
from email.message import EmailMessage

from sqlmodel import col, select

from activities.database.transactions import transaction
from activities.mail import notifications
from activities.mail.composing import compose
from models.domain.notifications import NotificationKind, Recipient
from models.tables.outbox import OutboxMessage
from tests.activities.bookings import NOW, Bookings
from tests.activities.mail.conftest import ISSUER, PUBLIC_URL, SENDER


async def mail(
    bookings: Bookings, kind: NotificationKind, to: Recipient, now: datetime = NOW, *, has_pages: bool = False
) -> EmailMessage:
    """The latest notification of its kind, as it would be sent now."""
    latest = (
        select(OutboxMessage)
        .where(col(OutboxMessage.kind) == kind, col(OutboxMessage.recipient_role) == to)
        .order_by(col(OutboxMessage.created_at).desc())
    )
    async with transaction(bookings.engine) as session:
        message = (await session.exec(latest)).first()
        assert message is not None
        content = await notifications.load(session, message, PUBLIC_URL, now, has_pages=has_pages)
    return compose(content, message.id, message.due_at, SENDER, ISSUER)


def text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def html(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())
