from collections.abc import AsyncIterator

import pytest

from activities.mail.sender import MailSender
from activities.mail.smtp import SmtpTransport
from models.documents.issuer import Issuer
from models.session_calendar import Party
from tests.activities.bookings import Bookings
from tests.mailbox import MailServer

SENDER = Party("Holdfast", "no-reply@holdfast.example")
ISSUER = Issuer("Holdfast")
PUBLIC_URL = "https://holdfast.example"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    server = MailServer()
    async with server.there():
        yield server


@pytest.fixture
def sender(bookings: Bookings, server: MailServer) -> MailSender:
    return MailSender(bookings.engine, SmtpTransport(server.settings), SENDER, PUBLIC_URL, ISSUER)
