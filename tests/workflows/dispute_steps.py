"""Steps of the tests that have a dispute: what a bank does, and what Stripe's webhook notifies of."""

from collections import Counter
from uuid import uuid4

import httpx
import stripe
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowHandle

from models.domain.disputes import DisputeEvent, DisputeOrder
from models.domain.ids import dispute_workflow_id
from models.domain.ledger import Account
from models.domain.states import DisputeStatus
from models.tables.disputes import Dispute
from models.tables.ledger import LedgerEntry, LedgerTransaction
from sandbox.stack.ports import NO_TLS
from tests.workflows.saga import QUEUE, Booked, Saga
from workflows.disputes import DisputeWorkflow

Handle = WorkflowHandle[DisputeWorkflow, DisputeStatus | None]


async def open_dispute(saga: Saga, booked: Booked, **wish: bool) -> stripe.Dispute:
    intent = await booked.payment_intent()
    assert intent is not None
    charge = intent.latest_charge
    params = {"charge": charge.id if isinstance(charge, stripe.Charge) else charge, **wish}
    async with httpx.AsyncClient(base_url=saga.stripe_url, trust_env=False, verify=NO_TLS) as browser:
        opened = (await browser.post("/_sandbox/disputes", json=params)).raise_for_status()
    return await saga.stripe.v1.disputes.retrieve_async(opened.json()["id"])


async def start_dispute(saga: Saga, dispute_id: str) -> Handle:
    """Start or signal the workflow, as the webhook does."""
    await notify_dispute(saga, dispute_id)
    return saga.env.client.get_workflow_handle_for(DisputeWorkflow.run, dispute_workflow_id(dispute_id))


async def notify_dispute(saga: Saga, dispute_id: str) -> None:
    await saga.env.client.start_workflow(
        DisputeWorkflow.run,
        DisputeOrder(dispute_id=dispute_id),
        id=dispute_workflow_id(dispute_id),
        task_queue=QUEUE,
        start_signal="dispute_event",
        start_signal_args=[DisputeEvent(event_id=f"evt_{uuid4().hex}", type="charge.dispute.test")],
    )


async def balances(saga: Saga, booked: Booked) -> dict[Account, int]:
    query = (
        select(LedgerEntry)
        .join(LedgerTransaction, col(LedgerTransaction.id) == col(LedgerEntry.transaction_id))
        .where(col(LedgerTransaction.booking_id) == booked.order.terms.booking_id)
    )
    sums: Counter[Account] = Counter()
    async with AsyncSession(saga.engine) as session:
        for entry in await session.exec(query):
            sums[entry.account] += entry.amount_minor
    return {account: amount for account, amount in sums.items() if amount}


async def until_dispute_is(saga: Saga, dispute_id: str, status: DisputeStatus) -> None:
    for _ in range(180):  # Longer than the pause after a failed write.
        async with AsyncSession(saga.engine) as session:
            row = await session.get(Dispute, dispute_id)
        if row is not None and row.status is status:
            return
        await saga.env.sleep(1)
    raise AssertionError(f"{status} never came")


async def decide_at_the_bank(saga: Saga, dispute_id: str, evidence: str) -> None:
    """The sandbox's bank decides by keyword, as Stripe's test mode does: `winning_evidence` or `losing_evidence`."""
    await saga.stripe.v1.disputes.update_async(
        dispute_id, {"evidence": {"uncategorized_text": evidence}, "submit": True}
    )
