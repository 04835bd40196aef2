"""The floor: the effects of a completed booking in a row, without durability.

A program of its own, which calls the very activities without Temporal, and without the API. It reads one call per line
from a Unix socket, and writes one answer per line.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import TypeVar
from uuid import UUID

import uvloop
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from temporalio.testing import ActivityEnvironment

from activities.booking.holds import HoldPlan
from activities.booking.payments import PaymentActivities
from activities.booking.records import RecordActivities
from activities.database.transactions import transaction
from activities.mail.sender import MailSender
from activities.mail.smtp import SmtpTransport
from activities.stripe.client import stripe_client
from activities.stripe.payments import StripeGateway
from models.db import build_engine
from models.domain import endings, policy
from models.domain.actors import Actor, Role
from models.domain.messages import (
    Approve,
    Channel,
    RecordAcceptance,
    RecordAuthorization,
    RecordCheckout,
    RecordEnding,
    ReserveSlot,
)
from models.domain.payments import HoldPhase, SecurePayment, SettlePayment
from models.domain.policy import PaymentPlan
from models.session_calendar import Party
from models.tables.bookings import BookingRequest
from worker import Settings
from workflows.booking.state import BookingState

R = TypeVar("R")


class Call(BaseModel):
    number: int
    step: str
    """A method of `Effects`."""
    order: ReserveSlot | None = None
    booking_id: UUID | None = None


class Answer(BaseModel):
    number: int
    result: str | None = None
    error: str | None = None


async def _activity(function: Callable[..., Awaitable[R]], message: object) -> R:
    result: R = await ActivityEnvironment().run(function, message)
    return result


class Effects:
    def __init__(self, engine: AsyncEngine, gateway: StripeGateway, mails: MailSender) -> None:
        self._engine = engine
        self._payments = PaymentActivities(engine, gateway, {PaymentPlan.HOLD: HoldPlan(gateway)})
        self._records = RecordActivities(engine)
        self._mails = mails
        self._states: dict[UUID, BookingState] = {}

    async def book(self, call: Call) -> str | None:
        """The URL of the Checkout page."""
        order = call.order
        assert order is not None
        terms, state = order.terms, BookingState.of(order)
        reserved = await _activity(self._records.reserve_slot, order)
        assert reserved is True
        ends_at = policy.checkout_page_ends(order.booked_at, order.checkout_deadline_at)
        state.checkout = await _activity(self._payments.secure_payment, SecurePayment(terms=terms, expires_at=ends_at))
        record = RecordCheckout(
            booking_id=terms.booking_id, student_id=terms.student_id, checkout=state.checkout, at=datetime.now(UTC)
        )
        await _activity(self._records.record_checkout, record)
        self._states[terms.booking_id] = state
        async with transaction(self._engine) as session:
            url = select(BookingRequest.checkout_url).where(col(BookingRequest.id) == terms.booking_id)
            return (await session.exec(url)).one()

    async def authorize(self, call: Call) -> None:
        state, now = self._state(call), datetime.now(UTC)
        payment = await _activity(self._payments.look_up_payment, state.payment_ref)
        assert payment.phase is HoldPhase.HELD
        state.payment = state.authorized(payment, now)
        record = RecordAuthorization(
            terms=state.terms, payment=state.payment, authorized_at=now, approval_deadline_at=state.deadline
        )
        await _activity(self._records.record_authorization, record)

    async def approve(self, call: Call) -> None:
        state = self._state(call)
        state.approved()
        decision = Approve(actor=Actor(role=Role.INSTRUCTOR, id=state.terms.instructor_id), channel=Channel.API)
        record = RecordAcceptance(
            terms=state.terms, decision=decision, completion_deadline_at=state.deadline, at=datetime.now(UTC)
        )
        await _activity(self._records.record_acceptance, record)

    async def complete(self, call: Call) -> None:
        state = self._state(call)
        terms = state.terms
        ending = endings.completed(terms, Actor(role=Role.STUDENT, id=terms.student_id))
        settle = SettlePayment(ref=state.payment_ref, split=ending.split, stripe_account_id=terms.stripe_account_id)
        payment = await _activity(self._payments.settle_payment, settle)
        record = RecordEnding(terms=terms, ending=ending, channel=Channel.API, payment=payment, at=datetime.now(UTC))
        await _activity(self._records.record_ending, record)

    async def send_mails(self, _: Call) -> None:
        """All that are due, with their receipts."""
        while await self._mails.send_due(datetime.now(UTC)):
            pass

    def _state(self, call: Call) -> BookingState:
        assert call.booking_id is not None
        return self._states[call.booking_id]


async def serve(effects: Effects, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer calls until there are no more, several at the same time."""

    async def answer(call: Call) -> None:
        reply = Answer(number=call.number)
        try:
            reply.result = await getattr(effects, call.step)(call)
        except Exception as error:
            reply.error = repr(error)
        writer.write(reply.model_dump_json().encode() + b"\n")

    async with asyncio.TaskGroup() as calls:
        async for line in reader:
            calls.create_task(answer(Call.model_validate_json(line)))
    writer.close()


async def main(socket: str) -> None:
    settings = Settings()
    engine = build_engine(settings.database_url.get_secret_value())
    sender = Party(*parseaddr(settings.holdfast_mail_from or ""))
    mails = MailSender(engine, SmtpTransport(settings), sender, settings.holdfast_public_url, settings.issuer)
    async with stripe_client(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base) as stripe:
        effects = Effects(engine, StripeGateway(stripe, settings.holdfast_public_url), mails)
        await serve(effects, *await asyncio.open_unix_connection(socket))
    await engine.dispose()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
