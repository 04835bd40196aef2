"""Steps of the tests that have a payout."""

from uuid import uuid4

from temporalio.client import WorkflowHandle

from models.domain.ids import payout_workflow_id
from models.domain.payouts import PayoutEvent, PayoutOrder, PayoutPhase
from tests.workflows.bank import Bank
from tests.workflows.saga import QUEUE
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
