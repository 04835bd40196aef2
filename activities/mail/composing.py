"""A letter as a mail: text, HTML, and where calendars are to change, the invitation."""

from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from uuid import UUID

from activities.mail.notifications import Letter, Void
from activities.mail.rendering import render
from activities.mail.templates import one_line
from models.documents import receipt
from models.documents.issuer import Issuer
from models.domain.ids import message_id
from models.session_calendar import FILE_NAME, Party, invitation

_POLICY = SMTP.clone(cte_type="7bit")
"""No mail server on the way has to know 8BITMIME."""


def compose(letter: Letter, id: UUID, due_at: datetime, sender: Party, issuer: Issuer) -> EmailMessage:
    """The mail of the outbox message `id`, whose Message-ID is always the same. Raises `Void` for an unusable address.

    One with a receipt takes a processor for a good part of a second.
    """
    rendered = render(letter)
    mail = EmailMessage(policy=_POLICY)
    mail["Message-ID"] = message_id(id, sender.email.rpartition("@")[2])
    mail["Date"] = format_datetime(due_at)
    mail["From"] = _address(sender)
    mail["To"] = _address(letter.reader)
    mail["Subject"] = rendered.subject
    # No out-of-office answers, please (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(rendered.text)
    mail.add_alternative(rendered.html, subtype="html")
    if letter.appointment:
        method, file = invitation(letter.appointment, organizer=sender, attendee=letter.reader)
        # As a part of its own for programs that act on invitations, and as a file for those that open files.
        mail.add_alternative(file.decode(), subtype="calendar", params={"method": method})
        mail.add_attachment(file, "application", "ics", filename=FILE_NAME)
    if letter.receipt:
        mail.add_attachment(receipt.draw(letter.receipt, issuer), "application", "pdf", filename=receipt.FILE_NAME)
    return mail


def _address(party: Party) -> Address:
    try:
        return Address(one_line(party.name), addr_spec=party.email)
    except (HeaderParseError, ValueError, IndexError):
        raise Void("unusable_address") from None
