"""Accounts: one that is created, and one that is looked at."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from models.domain.ids import onboarding_workflow_id
from models.domain.onboarding import AccountEvent, Onboarding
from models.tables.people import Instructor
from tests.workflows.resets import Story, current_run, result_of, told
from tests.workflows.saga import QUEUE, Saga
from workflows.onboarding import OnboardingWorkflow


async def _newcomer(saga: Saga) -> UUID:
    id = uuid4()
    async with AsyncSession(saga.engine) as session, session.begin():
        session.add(Instructor(id=id, email=f"{id}@example.test", name="Nadia", created_at=datetime.now(UTC)))
    return id


async def _account(saga: Saga, instructor_id: UUID, update: str | None) -> Story:
    id = onboarding_workflow_id(instructor_id)

    def start() -> WithStartWorkflowOperation[OnboardingWorkflow, None]:
        return WithStartWorkflowOperation(
            OnboardingWorkflow.run,
            Onboarding(instructor_id=instructor_id),
            id=id,
            task_queue=QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def event() -> None:
        await saga.env.client.start_workflow(
            OnboardingWorkflow.run,
            Onboarding(instructor_id=instructor_id),
            id=id,
            task_queue=QUEUE,
            start_signal="account_event",
            start_signal_args=[AccountEvent(event_id="evt_1", type="account.updated")],
        )

    async def outcome() -> Any:
        async with AsyncSession(saga.engine) as session:
            row = await session.get_one(Instructor, instructor_id)
        accounts = await saga.stripe.v1.accounts.list_async({"limit": 100})
        own = [each.id for each in accounts.data if str(instructor_id) in str(each.metadata)]
        return own == [row.stripe_account_id], row.transfers, len(row.requirements), row.account_checked_at is not None

    if update:
        await told(
            lambda: saga.env.client.execute_update_with_start_workflow(
                OnboardingWorkflow.open_link, id=update, start_workflow_operation=start()
            )
        )
    else:
        await event()
    await result_of(saga, id)
    return Story(id, None, [await current_run(saga, id)], event, outcome)


async def account_created(saga: Saga) -> Story:
    return await _account(saga, await _newcomer(saga), uuid4().hex)


async def account_checked(saga: Saga) -> Story:
    order = await saga.order()
    return await _account(saga, order.terms.instructor_id, None)
