"""The floor has the effects of a completed booking."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.mail.sender import MailSender
from activities.mail.smtp import SmtpTransport
from activities.stripe.client import stripe_client
from activities.stripe.payments import StripeGateway
from bench.bookings import STEPS
from bench.floor import Effects, serve
from bench.floor_process import Floor
from models.documents.issuer import Issuer
from models.documents.receipt import FILE_NAME
from models.domain.states import BookingStatus, PaymentStatus
from models.session_calendar import Party
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment
from sandbox.demo.people import Unexpected
from sandbox.stack.connected_accounts import create_connected_account
from tests.conftest import StripeSandbox
from tests.mailbox import MailServer

# stripe-python passes its forms to httpx as `data`, which httpx deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

_URL = "https://holdfast.example"


async def test_booking_on_the_floor_is_completed(
    engine: AsyncEngine, stripe_sandbox: StripeSandbox, tmp_path: Path
) -> None:
    server = MailServer()
    connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Future()
    listening = await asyncio.start_unix_server(lambda *streams: connected.set_result(streams), tmp_path / "calls")
    async with server.there(), stripe_client(stripe_sandbox.key, stripe_sandbox.url) as stripe:
        mails = MailSender(engine, SmtpTransport(server.settings), Party("H", "h@example.com"), _URL, Issuer("H"))
        effects = Effects(engine, StripeGateway(stripe, _URL), mails)
        serving = asyncio.create_task(serve(effects, *await asyncio.open_unix_connection(tmp_path / "calls")))
        account_id = await create_connected_account(stripe, uuid4(), "Ines", "I", f"{uuid4()}@example.com")
        floor = Floor(0, engine, account_id, *await connected)
        await floor.open()
        booking_id = await floor.pay_and_approve(await floor.order(0))
        await floor.complete(booking_id)
        await floor.send_mails()
        with pytest.raises(Unexpected, match="KeyError"):
            await floor.complete(uuid4())
        await floor.close()
        await serving
    listening.close()
    async with AsyncSession(engine) as session:
        booking = await session.get_one(BookingRequest, booking_id)
        payment = await session.get_one(Payment, booking_id)
        actions = (await session.exec(select(AuditEvent.action).order_by(col(AuditEvent.seq)))).all()
    assert (booking.status, payment.status) == (BookingStatus.COMPLETED, PaymentStatus.CAPTURED)
    assert payment.captured_minor == booking.price_minor
    assert actions == [
        f"booking.{step}" for step in ("reserved", "checkout_opened", "authorized", "accepted", "completed")
    ]
    # The earlier mails are out of date by now.
    assert len(server.mails) == 2
    assert FILE_NAME in {part.get_filename() for each in server.mails for part in each.mail.walk()}
    assert set(floor.seconds) == set(STEPS)
