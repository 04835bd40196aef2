"""Builds the MIME message: text, HTML, and an invitation if the reader's calendar changes."""

from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Any
from uuid import UUID

from activities.mail.content import MailContent, MailDiscarded
from activities.mail.rendering import render
from activities.mail.templates import one_line
from models.documents import receipt
from models.documents.issuer import Issuer
from models.domain.ids import message_id
from models.session_calendar import FILE_NAME, Party, invitation


class _Policy(EmailPolicy):
    """Python loses the quotes of a long ASCII name when it folds the header: the name's commas and brackets then read
    as further recipients (python/cpython#118643). So these headers stay on one line, of at most 998 characters
    (RFC 5322, 2.1.1). Any other name becomes encoded words, which need no quotes.
    """

    def fold(self, name: str, value: Any) -> str:
        return _unfolded(name, value, self.linesep) or super().fold(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        line = _unfolded(name, value, self.linesep)
        return line.encode() if line else super().fold_binary(name, value)


def _unfolded(name: str, value: object, line_end: str) -> str | None:
    text = str(value)
    return f"{name}: {text}{line_end}" if name in ("From", "To") and text.isascii() else None


_POLICY = _Policy(linesep="\r\n", cte_type="7bit")
"""7 bit, so that no mail server on the way needs 8BITMIME."""


def compose(content: MailContent, id: UUID, due_at: datetime, sender: Party, issuer: Issuer) -> EmailMessage:
    """The mail of the outbox message `id`. Its Message-ID and date are the same at every attempt.

    Drawing a receipt takes a good part of a second of CPU time. Raises `MailDiscarded` for an unusable address.
    """
    rendered = render(content, issuer.name)
    mail = EmailMessage(policy=_POLICY)
    mail["Message-ID"] = message_id(id, sender.email.rpartition("@")[2])
    mail["Date"] = format_datetime(due_at)
    mail["From"] = _address(sender)
    mail["To"] = _address(content.reader)
    mail["Subject"] = rendered.subject
    # Suppresses out-of-office replies (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(rendered.text)
    mail.add_alternative(rendered.html, subtype="html")
    if content.appointment:
        method, file = invitation(content.appointment, organizer=sender, attendee=content.reader)
        # As an alternative part for clients that process invitations, and as an attachment for all others.
        mail.add_alternative(file.decode(), subtype="calendar", params={"method": method})
        mail.add_attachment(file, "application", "ics", filename=FILE_NAME)
    if content.receipt:
        mail.add_attachment(receipt.draw(content.receipt, issuer), "application", "pdf", filename=receipt.FILE_NAME)
    return mail


def _address(party: Party) -> Address:
    try:
        return Address(one_line(party.name), addr_spec=party.email)
    except (HeaderParseError, ValueError, IndexError):
        raise MailDiscarded("unusable_address") from None
