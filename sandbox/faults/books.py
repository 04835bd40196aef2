"""What the three books have of some bookings: Postgres, Stripe and Temporal. Also the mails that were delivered."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import stripe
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from models.domain.ids import BOOKING_WORKFLOW
from models.domain.ledger import Account
from models.domain.stripe_events import BOOKING_METADATA
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.ledger import LedgerEntry, LedgerTransaction
from models.tables.outbox import OutboxMessage
from models.tables.payments import InstructorPayout, Payment
from sandbox.demo.figures import Figures, figures_of_booking, payments_since
from sandbox.demo.marketplace import Marketplace
from sandbox.faults.plays import Play

T = TypeVar("T", bound=SQLModel)


@dataclass(frozen=True)
class Books:
    """Of one booking."""

    row: BookingRequest | None
    session: LiveSession | None
    payment: Payment | None
    payout: InstructorPayout | None
    audit: Sequence[AuditEvent]
    outbox: Sequence[OutboxMessage]
    ledger: Counter[Account]
    """The balance of each account in minor units, from this booking's entries."""
    intents: Sequence[stripe.PaymentIntent]
    """With their charges."""
    refunds: Sequence[stripe.Refund]
    pages: Sequence[stripe.checkout.Session]
    transfers: Sequence[stripe.Transfer]
    figures: Figures
    """Who paid and who got what, at Stripe."""
    workflow: WorkflowExecution | None
    mails: Counter[str] = field(default_factory=Counter)
    """How often each mail of the outbox was accepted by the mail server, by its id."""

    @property
    def actions(self) -> set[str]:
        return {event.action for event in self.audit}

    @property
    def held_minor(self) -> int:
        """On the student's card."""
        return sum(intent.amount_capturable for intent in self.intents)

    @property
    def is_open(self) -> bool:
        return self.workflow is not None and self.workflow.status is WorkflowExecutionStatus.RUNNING


async def read(market: Marketplace, plays: Sequence[Play], since: datetime, mails: Counter[str]) -> dict[UUID, Books]:
    """The books of each play's booking. Everything is read once, for all of them."""
    ids = {play.booking_id for play in plays}
    rows = {row.id: row for row in await _rows(market, BookingRequest, col(BookingRequest.id), ids)}
    sessions = await _by_booking(market, LiveSession, col(LiveSession.booking_id), ids)
    payments = await _by_booking(market, Payment, col(Payment.booking_id), ids)
    payouts = await _by_booking(market, InstructorPayout, col(InstructorPayout.booking_id), ids)
    audit = await _by_booking(market, AuditEvent, col(AuditEvent.booking_id), ids)
    outbox = await _by_booking(market, OutboxMessage, col(OutboxMessage.booking_id), ids)
    ledger = await _ledger(market, ids)
    workflows: dict[str, WorkflowExecution] = {}
    async for execution in market.temporal.list_workflows("WorkflowType = 'Booking'"):
        # The latest run counts.
        if (later := workflows.get(execution.id)) is None or later.start_time < execution.start_time:
            workflows[execution.id] = execution
    intents = await payments_since(market.stripe, since)
    v1, start = market.stripe.v1, int(since.timestamp())
    refunds = await _all(await v1.refunds.list_async({"created": {"gte": start}, "limit": 100}))
    pages = await _all(await v1.checkout.sessions.list_async({"created": {"gte": start}, "limit": 100}))
    transfers = await _all(await v1.transfers.list_async({"created": {"gte": start}, "limit": 100}))
    found = {}
    for id in ids:
        made = intents.get(str(id), [])
        charges = {charge.id for each in made if isinstance(charge := each.latest_charge, stripe.Charge)}
        found[id] = Books(
            row=rows.get(id),
            session=next(iter(sessions[id]), None),
            payment=next(iter(payments[id]), None),
            payout=next(iter(payouts[id]), None),
            audit=audit[id],
            outbox=outbox[id],
            ledger=ledger[id],
            intents=made,
            refunds=[each for each in refunds if each.payment_intent in {intent.id for intent in made}],
            pages=[each for each in pages if _metadata(each).get(BOOKING_METADATA) == str(id)],
            transfers=[each for each in transfers if each.source_transaction in charges],
            figures=await figures_of_booking(market.stripe, made) if made else Figures(),
            workflow=workflows.get(f"{BOOKING_WORKFLOW}{id}"),
            mails=Counter({str(mail.id): mails[str(mail.id)] for mail in outbox[id]}),
        )
    return found


async def _rows(market: Marketplace, table: type[T], id_column: Any, ids: set[UUID]) -> Sequence[T]:
    async with AsyncSession(market.engine) as session:
        return (await session.exec(select(table).where(id_column.in_(ids)))).all()


async def _by_booking(market: Marketplace, table: type[T], id_column: Any, ids: set[UUID]) -> dict[UUID, list[T]]:
    by_booking = defaultdict[UUID, list[T]](list)
    for row in await _rows(market, table, id_column, ids):
        by_booking[getattr(row, "booking_id")].append(row)  # noqa: B009 - every one of these tables has it
    return by_booking


async def _ledger(market: Marketplace, ids: set[UUID]) -> dict[UUID, Counter[Account]]:
    query = (
        select(LedgerTransaction.booking_id, col(LedgerEntry.account), LedgerEntry.amount_minor)
        .join(LedgerEntry, col(LedgerEntry.transaction_id) == col(LedgerTransaction.id))
        .where(col(LedgerTransaction.booking_id).in_(ids))
    )
    balances = defaultdict[UUID, Counter[Account]](Counter)
    async with AsyncSession(market.engine) as session:
        for id, account, amount in await session.exec(query):
            if id is not None:
                balances[id][Account(account)] += amount
    return balances


async def _all(page: Any) -> list[Any]:
    return [each async for each in page.auto_paging_iter()]


def _metadata(page: stripe.checkout.Session) -> dict[str, Any]:
    return page.metadata.to_dict() if page.metadata else {}
