"""A mail server of the test's own: the local stack's catcher, in the test's process, with injected refusals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosmtpd.smtp import SMTP, Envelope, Session

from models.settings import Environment, MailSettings, SmtpSecurity
from sandbox.mail.catcher import Catcher, CaughtMail
from sandbox.stack.ports import LOOPBACK, free_port


class FickleCatcher(Catcher):
    """Returns each of the queued answers once, and then accepts mails and recipients."""

    def __init__(self) -> None:
        super().__init__()
        self.data_answers: list[str] = []
        self.rcpt_answers: list[str] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return self.data_answers.pop(0) if self.data_answers else await super().handle_DATA(server, session, envelope)

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if self.rcpt_answers:
            return self.rcpt_answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"


@dataclass
class MailServer:
    """Keeps its port while it is down."""

    catcher: FickleCatcher = field(default_factory=FickleCatcher)
    port: int = field(default_factory=free_port)

    @property
    def mails(self) -> list[CaughtMail]:
        """The oldest first."""
        return list(self.catcher.latest())[::-1]

    @property
    def settings(self) -> MailSettings:
        return MailSettings(
            holdfast_env=Environment.DEVELOPMENT,
            holdfast_smtp_host=LOOPBACK,
            holdfast_smtp_port=self.port,
            holdfast_smtp_security=SmtpSecurity.NONE,
            holdfast_mail_from="Holdfast <no-reply@holdfast.example>",
        )

    @asynccontextmanager
    async def there(self) -> AsyncIterator[None]:
        server = await asyncio.get_running_loop().create_server(self.catcher.protocol, LOOPBACK, self.port)
        async with server:
            yield
