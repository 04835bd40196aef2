"""Disputes, each played from its opening to its end."""

from functools import partial
from typing import Any

from models.domain.disputes import DisputeDecision, DisputeResponse
from models.domain.errors import Declined
from models.domain.ids import dispute_workflow_id
from models.domain.states import DisputeStatus
from tests.workflows.dispute_steps import (
    decide_at_the_bank,
    notify_dispute,
    open_dispute,
    start_dispute,
    until_dispute_is,
)
from tests.workflows.refund_steps import (
    OPERATOR,
    payment_totals,
)
from tests.workflows.resets import Story, books, current_run, result_of, settled, told
from tests.workflows.saga import Booked, Saga
from workflows.disputes import DisputeWorkflow


async def _dispute(saga: Saga, booked: Booked, dispute_id: str) -> Story:
    id = dispute_workflow_id(dispute_id)

    async def outcome() -> Any:
        dispute = await saga.stripe.v1.disputes.retrieve_async(dispute_id)
        sent = dispute.evidence_details.submission_count
        return dispute.status, sent, await payment_totals(booked), await books(saga, booked)

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


async def dispute_answer_refused(saga: Saga) -> Story:
    """By Stripe, which would take it by now. The operator answers in the dashboard, and loses."""
    saga.faults.fail("before", "submit_dispute_evidence", Declined("dispute_closed"))
    booked, dispute_id = await _disputed(saga, DisputeResponse.EVIDENCE)
    await saga.until_needs_attention(booked)
    await decide_at_the_bank(saga, dispute_id, "losing_evidence")
    return await _dispute(saga, booked, dispute_id)


async def dispute_lost_for_the_platform(saga: Saga) -> Story:
    """Stripe would not take the transfer back then, and would by now."""
    saga.faults.fail("before", "gateway.reverse_disputed_transfer", Declined("balance_insufficient"))
    return await dispute_lost(saga)
