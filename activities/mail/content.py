"""What a mail consists of, before it is rendered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.documents.receipt import Receipt
from models.domain.notifications import NotificationKind
from models.languages import Language
from models.session_calendar import Appointment, Party
from models.tables.people import Instructor, Student


class MailDiscarded(Exception):
    """The mail will not be sent: it has no recipient, or is out of date. The message is a code for the reason."""


@dataclass(frozen=True)
class MailContent:
    notification: NotificationKind
    language: Language
    """The reader's."""
    reader: Party
    variables: dict[str, Any]
    """The template's variables."""
    details: Sequence[tuple[str, str]]
    links: Sequence[tuple[str, str]]
    appointment: Appointment | None
    """The change to the reader's calendar."""
    receipt: Receipt | None = None
    """Attached for the student of a booking that ended with a payment."""


def reader_of(person: Student | Instructor, is_named: bool = True) -> Party:
    if person.closed_at is not None:
        raise MailDiscarded("account_closed")
    return Party(person.name if is_named else "", person.email)
