"""Stores mails that arrive over SMTP and delivers none of them. Beyond the limits, the oldest are dropped."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
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
    """An SMTP handler for aiosmtpd, and the mails that it accepted: also in `directory`, if one is given."""

    def __init__(
        self, directory: Path | None = None, *, max_mails: int = _MAX_MAILS, max_bytes: int = _MAX_BYTES
    ) -> None:
        self._directory = directory
        self._most_mails = max_mails
        self._most_bytes = max_bytes
        self._caught: deque[CaughtMail] = deque()
        if directory:
            directory.mkdir(parents=True, exist_ok=True)
            self._caught.extend(sorted(map(_read, directory.glob("*.json")), key=lambda caught: caught.number))
        self._bytes = sum(len(caught.content) for caught in self._caught)

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        number = self._caught[-1].number + 1 if self._caught else 1
        caught = CaughtMail(number, datetime.now(UTC), tuple(envelope.rcpt_tos), content)
        self._write(caught)
        self._caught.append(caught)
        self._bytes += len(content)
        while self._bytes > self._most_bytes or len(self._caught) > self._most_mails:
            dropped = self._caught.popleft()
            self._bytes -= len(dropped.content)
            if self._directory:
                _file(self._directory, dropped.number).unlink(missing_ok=True)
        return "250 caught"

    def _write(self, caught: CaughtMail) -> None:
        if not self._directory:
            return
        # JSON has no bytes. Latin-1 maps each byte to a character and back.
        content = caught.content.decode("latin-1")
        fields = {"number": caught.number, "at": caught.at.isoformat(), "to": caught.recipients, "content": content}
        file = _file(self._directory, caught.number)
        file.with_suffix(".part").write_text(json.dumps(fields))
        file.with_suffix(".part").rename(file)

    def protocol(self) -> SMTP:
        return SMTP(self, data_size_limit=MAX_MAIL_BYTES, enable_SMTPUTF8=True, hostname="mailbox.local")

    def latest(self) -> Iterator[CaughtMail]:
        """All stored mails, newest first."""
        return reversed(self._caught)

    def get(self, number: int) -> CaughtMail | None:
        return next((caught for caught in self._caught if caught.number == number), None)


def _file(directory: Path, number: int) -> Path:
    return directory / f"{number}.json"


def _read(file: Path) -> CaughtMail:
    fields = json.loads(file.read_text())
    return CaughtMail(
        fields["number"],
        datetime.fromisoformat(fields["at"]),
        tuple(fields["to"]),
        fields["content"].encode("latin-1"),
    )
