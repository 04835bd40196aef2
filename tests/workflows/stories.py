"""Stories of refunds, disputes, payouts and accounts, each played from its start to its end."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from models.domain.disputes import DisputeDecision, DisputeResponse
from models.domain.errors import Declined
from models.domain.ids import dispute_workflow_id, onboarding_workflow_id, refund_workflow_id
from models.domain.ledger import Account
from models.domain.onboarding import AccountEvent, Onboarding
from models.domain.payouts import PayoutPhase
from models.domain.refunds import RetryRefund
from models.domain.states import DisputeStatus, PayoutStatus, RefundStatus
from models.tables.people import Instructor
from tests.workflows.bank import DAY_SECONDS, UNTIL_SENT, bank_of
from tests.workflows.dispute_steps import (
    balances,
    decide_at_the_bank,
    notify_dispute,
    open_dispute,
    start_dispute,
    until_dispute_is,
)
from tests.workflows.payout_steps import notify_payout
from tests.workflows.refund_steps import (
    OPERATOR,
    REFUND_FAILING_CARD,
    REFUND_PENDING_CARD,
    act_at_the_bank,
    execute_refund,
    notify_refund,
    order_refund,
    payment_totals,
    starting,
    stored_refund,
    until_refund_is,
)
from tests.workflows.resets import Story, current_run, result_of, settled, told
from tests.workflows.saga import QUEUE, Booked, Saga
from tests.workflows.test_external_refunds import BOTH, notify, refund_in_dashboard
from tests.workflows.test_payouts import until_share
from workflows.disputes import DisputeWorkflow
from workflows.onboarding import OnboardingWorkflow
from workflows.refunds import RefundWorkflow

Play = Callable[[Saga], Awaitable[Story]]


# Refunds


async def _refund(saga: Saga, booked: Booked, refund_id: UUID, runs: list[str]) -> Story:
    id = refund_workflow_id(refund_id)

    async def outcome() -> Any:
        row = await stored_refund(saga, refund_id)
        return row.status, row.tries, await payment_totals(booked), await _books(saga, booked)

    result = await result_of(saga, id)
    return Story(id, result, [*runs, await current_run(saga, id)], partial(notify_refund, saga, refund_id), outcome)


async def _books(saga: Saga, booked: Booked) -> tuple[int, int, int]:
    """On the platform's and the instructor's balance, and owed to the student."""
    found = await balances(saga, booked)
    return tuple(  # type: ignore[return-value]
        found.get(account, 0) for account in (Account.STRIPE_BALANCE, Account.CONNECTED_BALANCE, Account.REFUNDS)
    )


async def refunded(saga: Saga) -> Story:
    booked = await settled(saga)
    order = await order_refund(saga, booked, 3_000)
    await told(lambda: execute_refund(saga, order))
    return await _refund(saga, booked, order, [])


async def refund_refused(saga: Saga) -> Story:
    """While its charge was disputed. By now, Stripe would take it."""
    booked = await settled(saga)
    dispute = await open_dispute(saga, booked)
    order = await order_refund(saga, booked, 3_000)
    await told(lambda: execute_refund(saga, order))
    await decide_at_the_bank(saga, dispute.id, "winning_evidence")
    return await _refund(saga, booked, order, [])


async def refund_arrived_later(saga: Saga) -> Story:
    booked = await settled(saga, REFUND_PENDING_CARD)
    order = await order_refund(saga, booked, 3_000)
    await told(lambda: execute_refund(saga, order))
    row = await until_refund_is(saga, order, RefundStatus.PENDING)
    await act_at_the_bank(saga, row.stripe_refund_id or "", "succeed")
    await notify_refund(saga, order)
    return await _refund(saga, booked, order, [])


async def refund_failed_twice(saga: Saga) -> Story:
    """An operator has had it retried. It is up to them whether there is a third try."""
    booked = await settled(saga, REFUND_FAILING_CARD)
    order = await order_refund(saga, booked, 3_000)
    await told(lambda: execute_refund(saga, order))
    runs = []
    for retry in (True, False):
        row = await until_refund_is(saga, order, RefundStatus.SUCCEEDED)
        await act_at_the_bank(saga, row.stripe_refund_id or "", "fail")
        await notify_refund(saga, order)
        await result_of(saga, refund_workflow_id(order))
        runs.append(await current_run(saga, refund_workflow_id(order)))
        if retry:
            await told(
                lambda: saga.env.client.execute_update_with_start_workflow(
                    RefundWorkflow.try_again, RetryRefund(actor=OPERATOR), start_workflow_operation=starting(order)
                )
            )
    return await _refund(saga, booked, order, runs)


async def refunded_in_the_dashboard(saga: Saga) -> Story:
    booked = await settled(saga)
    made = await refund_in_dashboard(saga, booked, 3_000, BOTH)
    handle = await notify(saga, made)
    return await _refund(saga, booked, UUID(handle.id.removeprefix("refund-")), [])


# Disputes


async def _dispute(saga: Saga, booked: Booked, dispute_id: str) -> Story:
    id = dispute_workflow_id(dispute_id)

    async def outcome() -> Any:
        dispute = await saga.stripe.v1.disputes.retrieve_async(dispute_id)
        sent = dispute.evidence_details.submission_count
        return dispute.status, sent, await payment_totals(booked), await _books(saga, booked)

    await notify_dispute(saga, dispute_id)
    result = await result_of(saga, id)
    return Story(id, result, [await current_run(saga, id)], partial(notify_dispute, saga, dispute_id), outcome)


async def _disputed(saga: Saga, *answers: DisputeResponse) -> tuple[Booked, str]:
    booked = await settled(saga)
    dispute = await open_dispute(saga, booked)
    handle = await start_dispute(saga, dispute.id)
    await until_dispute_is(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    for answer in answers:
        decision = DisputeDecision(actor=OPERATOR, answer=answer)
        await told(lambda decision=decision: handle.execute_update(DisputeWorkflow.decide, decision))  # type: ignore[misc]
    return booked, dispute.id


async def dispute_won(saga: Saga) -> Story:
    booked, dispute_id = await _disputed(saga, DisputeResponse.EVIDENCE)
    await until_dispute_is(saga, dispute_id, DisputeStatus.UNDER_REVIEW)
    await decide_at_the_bank(saga, dispute_id, "winning_evidence")
    return await _dispute(saga, booked, dispute_id)


async def dispute_lost(saga: Saga) -> Story:
    booked, dispute_id = await _disputed(saga)
    await decide_at_the_bank(saga, dispute_id, "losing_evidence")
    return await _dispute(saga, booked, dispute_id)


async def dispute_accepted(saga: Saga) -> Story:
    booked, dispute_id = await _disputed(saga, DisputeResponse.ACCEPTED)
    return await _dispute(saga, booked, dispute_id)


async def dispute_lost_for_the_platform(saga: Saga) -> Story:
    """Stripe would not take the transfer back then, and would by now."""
    saga.faults.fail("before", "gateway.reverse_disputed_transfer", Declined("balance_insufficient"))
    return await dispute_lost(saga)


# Payouts


async def _payout(saga: Saga, booked: Booked, payout_id: str) -> Story:
    handle = await notify_payout(bank_of(booked), payout_id)
    result = await result_of(saga, handle.id)

    async def outcome() -> Any:
        return await _books(saga, booked)

    notify = partial(notify_payout, bank_of(booked), payout_id)
    return Story(handle.id, result, [await current_run(saga, handle.id)], notify, outcome)


async def payout_arrived(saga: Saga) -> Story:
    booked = await settled(saga)
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT)
    payout = await bank.payout()
    await notify_payout(bank, payout.id)
    await until_share(booked, PayoutStatus.PROCESSING, payout.id)
    await bank.wait(2 * DAY_SECONDS)
    return await _payout(saga, booked, payout.id)


async def payout_returned_and_sent_again(saga: Saga) -> Story:
    booked = await settled(saga)
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT)
    lost = await bank.payout()
    await notify_payout(bank, lost.id)
    await until_share(booked, PayoutStatus.PROCESSING, lost.id)
    await bank.return_payout(lost.id)
    await bank.set_bank_account("btok_us_verified")
    await bank.wait(3 * DAY_SECONDS)
    again, _ = await bank.payouts()
    first = await _payout(saga, booked, again.id)
    assert (await _payout(saga, booked, lost.id)).result == PayoutPhase.FAILED
    return first


# Accounts


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
