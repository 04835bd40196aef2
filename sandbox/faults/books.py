"""What the three books have of some bookings: Postgres, Stripe and Temporal. Also the mails that were delivered."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import stripe
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from models.domain.ids import BOOKING_WORKFLOW
from models.domain.ledger import Account
from models.domain.stripe_events import BOOKING_METADATA
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.ledger import LedgerEntry, LedgerTransaction
from models.tables.outbox import OutboxMessage
from models.tables.payments import InstructorPayout, Payment
from sandbox.demo.figures import Figures, figures_of_booking, payments_since
from workflows import search_attributes

T = TypeVar("T", bound=SQLModel)


@dataclass(frozen=True)
class Execution:
    """A booking's latest workflow run."""

    is_open: bool
    is_terminated: bool
    shown: str | None
    """The booking's status in Temporal's UI."""


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
    workflow: Execution | None
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
        return self.workflow is not None and self.workflow.is_open


async def executions(client: Client) -> dict[UUID, Execution]:
    """Of all bookings, by id."""
    latest: dict[str, WorkflowExecution] = {}
    async for execution in client.list_workflows("WorkflowType = 'Booking'"):
        if (other := latest.get(execution.id)) is None or other.start_time < execution.start_time:
            latest[execution.id] = execution
    return {
        UUID(id.removeprefix(BOOKING_WORKFLOW)): Execution(
            is_open=execution.status is WorkflowExecutionStatus.RUNNING,
            is_terminated=execution.status is WorkflowExecutionStatus.TERMINATED,
            shown=execution.typed_search_attributes.get(search_attributes.BOOKING_STATUS),
        )
        for id, execution in latest.items()
    }


async def read(
    engine: AsyncEngine,
    client: stripe.StripeClient,
    workflows: Mapping[UUID, Execution],
    ids: Collection[UUID],
    since: datetime,
    mails: Mapping[str, int],
) -> dict[UUID, Books]:
    """The books of these bookings, which were made `since` then. Everything is read once, for all of them."""
    rows = {row.id: row for row in await _rows(engine, BookingRequest, col(BookingRequest.id), ids)}
    sessions = await _by_booking(engine, LiveSession, col(LiveSession.booking_id), ids)
    payments = await _by_booking(engine, Payment, col(Payment.booking_id), ids)
    payouts = await _by_booking(engine, InstructorPayout, col(InstructorPayout.booking_id), ids)
    audit = await _by_booking(engine, AuditEvent, col(AuditEvent.booking_id), ids)
    outbox = await _by_booking(engine, OutboxMessage, col(OutboxMessage.booking_id), ids)
    ledger = await _ledger(engine, ids)
    intents = await payments_since(client, since)
    v1, start = client.v1, int(since.timestamp())
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
            figures=await figures_of_booking(client, made) if made else Figures(),
            workflow=workflows.get(id),
            mails=Counter({str(mail.id): mails.get(str(mail.id), 0) for mail in outbox[id]}),
        )
    return found


async def _rows(engine: AsyncEngine, table: type[T], id_column: Any, ids: Collection[UUID]) -> Sequence[T]:
    async with AsyncSession(engine) as session:
        return (await session.exec(select(table).where(id_column.in_(ids)))).all()


async def _by_booking(
    engine: AsyncEngine, table: type[T], id_column: Any, ids: Collection[UUID]
) -> dict[UUID, list[T]]:
    by_booking = defaultdict[UUID, list[T]](list)
    for row in await _rows(engine, table, id_column, ids):
        by_booking[getattr(row, "booking_id")].append(row)  # noqa: B009 - every one of these tables has it
    return by_booking


async def _ledger(engine: AsyncEngine, ids: Collection[UUID]) -> dict[UUID, Counter[Account]]:
    query = (
        select(LedgerTransaction.booking_id, col(LedgerEntry.account), LedgerEntry.amount_minor)
        .join(LedgerEntry, col(LedgerEntry.transaction_id) == col(LedgerTransaction.id))
        .where(col(LedgerTransaction.booking_id).in_(ids))
    )
    balances = defaultdict[UUID, Counter[Account]](Counter)
    async with AsyncSession(engine) as session:
        for id, account, amount in await session.exec(query):
            if id is not None:
                balances[id][Account(account)] += amount
    return balances


async def _all(page: Any) -> list[Any]:
    return [each async for each in page.auto_paging_iter()]


def _metadata(page: stripe.checkout.Session) -> dict[str, Any]:
    return page.metadata.to_dict() if page.metadata else {}
