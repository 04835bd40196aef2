"""Refunds, each played from its order to its end."""

from functools import partial
from typing import Any
from uuid import UUID

from models.domain.ids import refund_workflow_id
from models.domain.refunds import RetryRefund
from models.domain.states import RefundStatus
from tests.workflows.dispute_steps import (
    decide_at_the_bank,
    open_dispute,
)
from tests.workflows.refund_steps import (
    BOTH,
    OPERATOR,
    REFUND_FAILING_CARD,
    REFUND_PENDING_CARD,
    act_at_the_bank,
    execute_refund,
    notify_external,
    notify_refund,
    order_refund,
    payment_totals,
    refund_in_dashboard,
    starting,
    stored_refund,
    until_refund_is,
)
from tests.workflows.resets import Story, books, current_run, result_of, settled, told
from tests.workflows.saga import Booked, Saga
from workflows.refunds import RefundWorkflow


async def _refund(saga: Saga, booked: Booked, refund_id: UUID, runs: list[str]) -> Story:
    id = refund_workflow_id(refund_id)

    async def outcome() -> Any:
        row = await stored_refund(saga, refund_id)
        return row.status, row.tries, await payment_totals(booked), await books(saga, booked)

    result = await result_of(saga, id)
    return Story(id, result, [*runs, await current_run(saga, id)], partial(notify_refund, saga, refund_id), outcome)


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
    runs = [await current_run(saga, refund_workflow_id(order))]
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
            runs.append(await current_run(saga, refund_workflow_id(order)))
    return await _refund(saga, booked, order, runs)


async def refunded_in_the_dashboard(saga: Saga) -> Story:
    booked = await settled(saga)
    made = await refund_in_dashboard(saga, booked, 3_000, BOTH)
    handle = await notify_external(saga, made)
    return await _refund(saga, booked, UUID(handle.id.removeprefix("refund-")), [])
