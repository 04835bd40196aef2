"""The mailbox of somebody who signs up: the mails that the outbox sends, over SMTP, and the tokens in their links."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.mail.sender import MailSender
from activities.mail.smtp import SmtpTransport
from models.documents.issuer import Issuer
from models.session_calendar import Party
from tests.api.world import PUBLIC_URL
from tests.mailbox import MailServer


@dataclass(frozen=True)
class Mailbox:
    server: MailServer
    sender: MailSender
    page: str
    """The page that the links with tokens lead to."""

    async def read(self, now: datetime | None = None) -> list[str]:
        """Send what is due, then return subject and text of each mail."""
        while await self.sender.send_due(now or datetime.now(UTC)):
            pass
        return [f"{mail.header('Subject')}\n{mail.body('plain')}" for mail in self.server.mails]

    async def tokens(self, now: datetime | None = None) -> list[str]:
        return re.findall(rf"{PUBLIC_URL}{self.page}\?language=en#(\S+)", "\n".join(await self.read(now)))


@asynccontextmanager
async def mailbox_of(engine: AsyncEngine, page: str) -> AsyncIterator[Mailbox]:
    server = MailServer()
    smtp = SmtpTransport(server.settings)
    sender = MailSender(engine, smtp, Party("Holdfast", "post@holdfast.example"), PUBLIC_URL, Issuer("Holdfast"))
    async with server.there():
        yield Mailbox(server, sender, page)
