"""A saga on Temporal's dev server, which can reset a workflow, and stories that a test can play and then disturb."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, TerminatedError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from models.domain.actors import Actor, Role
from models.domain.ledger import Account
from models.domain.messages import Approve, Settle
from models.domain.states import PaymentStatus
from sandbox.browser.checkout_page import GOOD_CARD
from tests.workflows.dispute_steps import balances
from tests.workflows.saga import Booked, Saga
from workflows.booking.workflow import BookingWorkflow

OPERATOR = Actor(role=Role.OPERATOR, id=uuid4())
AnyHandle = WorkflowHandle[Any, Any]
# What says when something was looked at or read, and not what happened.
_VOLATILE = {"updated_at", "account_checked_at", "onboarding_url", "onboarding_url_expires_at"}


class LiveEnvironment(WorkflowEnvironment):
    """Real time. A test that waits for something looks often."""

    async def sleep(self, duration: timedelta | float) -> None:
        await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Story:
    """What a workflow did from its start to its end. It may have had several runs."""

    id: str
    result: Any
    run_ids: list[str]
    notify: Callable[[], Awaitable[object]]
    """What Stripe or the reconciliation sends again."""
    outcome: Callable[[], Awaitable[Any]]
    """Where the money is, in figures that are the same each time that the story is played."""


async def settled(saga: Saga, card: str = GOOD_CARD) -> Booked:
    """100.00 USD captured, without waiting for the session."""
    booked = await saga.booked()
    await booked.pay(card)
    await saga.until_stored(booked, PaymentStatus.PENDING)
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    settle = Settle(actor=OPERATOR, has_reason=True)
    await booked.handle.execute_update(BookingWorkflow.settle, settle)
    return booked


async def told(order: Callable[[], Awaitable[Any]]) -> Any:
    """Send an order again until the workflow answers it, as people do."""
    for _ in range(40):
        try:
            return await order()
        except WorkflowUpdateFailedError as error:
            if isinstance(error.cause, ApplicationError) and "needs no answer" in error.cause.message:
                return None
        except RPCError:
            pass
        await asyncio.sleep(0.05)
    raise AssertionError("the order was never taken")


async def result_of(saga: Saga, id: str, run_id: str | None = None) -> Any:
    """Of the last run, however often it is terminated and started again meanwhile."""
    async with asyncio.timeout(15):
        while True:
            try:
                return await saga.env.client.get_workflow_handle(id, run_id=run_id).result()
            except WorkflowFailureError as error:
                if run_id or not isinstance(error.cause, TerminatedError):
                    raise


async def current_run(saga: Saga, id: str) -> str:
    description = await saga.env.client.get_workflow_handle(id).describe()
    assert description.run_id
    return description.run_id


async def tasks_of(saga: Saga, id: str, run_id: str) -> list[int]:
    """The events of a run that it can be reset to: where its workflow tasks completed."""
    history = await saga.env.client.get_workflow_handle(id, run_id=run_id).fetch_history()
    completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return [event.event_id for event in history.events if event.event_type == completed]


async def reset(saga: Saga, id: str, run_id: str, task: int, reapply: ResetReapplyType.ValueType) -> str:
    """The button in Temporal's UI. Returns the id of the new run."""
    client = saga.env.client
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=id, run_id=run_id),
            reason="by a test",
            workflow_task_finish_event_id=task,
            request_id=str(uuid4()),
            reset_reapply_type=reapply,
        )
    )
    return answer.run_id


async def everything(saga: Saga) -> dict[str, list[Any]]:
    """All records, and where all money is at Stripe."""
    found = await _rows(saga.engine)
    v1 = saga.stripe.v1
    for name, page in (
        ("platform", await v1.balance_transactions.list_async({"limit": 100})),
        ("refunds", await v1.refunds.list_async({"limit": 100})),
        ("disputes", await v1.disputes.list_async({"limit": 100})),
        ("accounts", accounts := await v1.accounts.list_async({"limit": 100})),
    ):
        found[name] = [each.to_dict() for each in page.data]
    for account in accounts.data:
        lines = await v1.balance_transactions.list_async({"limit": 100}, {"stripe_account": account.id})
        found[account.id] = [each.to_dict() for each in lines.data]
    return found


async def _rows(engine: AsyncEngine) -> dict[str, list[Any]]:
    async with engine.connect() as connection:
        tables = {
            table.name: (await connection.execute(table.select())).mappings().all()
            for table in SQLModel.metadata.sorted_tables
        }
    return {
        name: sorted(
            (str({key: value for key, value in row.items() if key not in _VOLATILE}))
            for row in rows
            if row.get("action") != "instructor.account_checked"
        )
        for name, rows in tables.items()
    }


async def books(saga: Saga, booked: Booked) -> tuple[int, int, int]:
    """On the platform's and the instructor's balance, and owed to the student."""
    found = await balances(saga, booked)
    return tuple(  # type: ignore[return-value]
        found.get(account, 0) for account in (Account.STRIPE_BALANCE, Account.CONNECTED_BALANCE, Account.REFUNDS)
    )
