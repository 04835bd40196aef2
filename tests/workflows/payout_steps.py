"""Steps of the tests that have a payout."""

from uuid import uuid4

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowHandle

from models.domain.ids import payout_workflow_id
from models.domain.payouts import PayoutEvent, PayoutOrder, PayoutPhase
from models.domain.states import PayoutStatus
from models.tables.payments import InstructorPayout
from tests.workflows.bank import Bank
from tests.workflows.saga import QUEUE, Booked
from workflows.payouts import PayoutWorkflow

Handle = WorkflowHandle[PayoutWorkflow, PayoutPhase | None]


async def notify_payout(bank: Bank, payout_id: str, task_queue: str = QUEUE) -> Handle:
    """Start or signal the workflow, as the webhook does."""
    return await bank.saga.env.client.start_workflow(
        PayoutWorkflow.run,
        PayoutOrder(payout_id=payout_id, account_id=bank.account_id),
        id=payout_workflow_id(payout_id),
        task_queue=task_queue,
        start_signal="payout_event",
        start_signal_args=[PayoutEvent(event_id=f"evt_{uuid4().hex}", type="payout.test")],
    )


async def share(booked: Booked) -> InstructorPayout:
    query = select(InstructorPayout).where(col(InstructorPayout.booking_id) == booked.order.terms.booking_id)
    async with AsyncSession(booked.saga.engine) as session:
        return (await session.exec(query)).one()


async def until_share(booked: Booked, status: PayoutStatus, payout_id: str) -> InstructorPayout:
    for _ in range(60):
        row = await share(booked)
        if (row.status, row.stripe_payout_id) == (status, payout_id):
            return row
        await booked.saga.env.sleep(1)
    raise AssertionError(f"{status} never came: {row}")
