"""Stores mails that arrive over SMTP and delivers none of them. Beyond the limits, the oldest are dropped."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from itertools import count
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

MAX_MAIL_BYTES: Final = 1024 * 1024
_MAX_BYTES: Final = 32 * MAX_MAIL_BYTES
_MAX_MAILS: Final = 1_000


@dataclass(frozen=True)
class CaughtMail:
    number: int
    at: datetime
    recipients: tuple[str, ...]
    """The envelope recipients, which the SMTP client sent as RCPT TO."""
    content: bytes

    @property
    def mail(self) -> EmailMessage:
        return message_from_bytes(self.content, EmailMessage, policy=default)

    def header(self, name: str) -> str:
        return str(self.mail.get(name, ""))

    def body(self, kind: str) -> str | None:
        """The text of the first part with the type `text/{kind}`, or None."""
        for part in self.mail.walk():
            if part.get_content_type() == f"text/{kind}" and not part.is_attachment():
                return str(part.get_content())
        return None


class Catcher:
    """An SMTP handler for aiosmtpd, and the mails that it accepted."""

    def __init__(self, max_mails: int = _MAX_MAILS, max_bytes: int = _MAX_BYTES) -> None:
        self._most_mails = max_mails
        self._most_bytes = max_bytes
        self._bytes = 0
        self._numbers = count(1)
        self._caught: deque[CaughtMail] = deque()

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        self._caught.append(CaughtMail(next(self._numbers), datetime.now(UTC), tuple(envelope.rcpt_tos), content))
        self._bytes += len(content)
        while self._bytes > self._most_bytes or len(self._caught) > self._most_mails:
            self._bytes -= len(self._caught.popleft().content)
        return "250 caught"

    def protocol(self) -> SMTP:
        return SMTP(self, data_size_limit=MAX_MAIL_BYTES, enable_SMTPUTF8=True, hostname="mailbox.local")

    def latest(self) -> Iterator[CaughtMail]:
        """All stored mails, newest first."""
        return reversed(self._caught)

    def get(self, number: int) -> CaughtMail | None:
        return next((caught for caught in self._caught if caught.number == number), None)
