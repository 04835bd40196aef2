"""Disputes at Stripe. Sources: API reference, "Disputes", "Transfer Reversals"; docs "How disputes work"."""

from datetime import UTC, datetime
from typing import cast

import stripe
from stripe.params import DisputeUpdateParamsEvidence

from activities.stripe.errors import translated_errors
from activities.stripe.transfers import reverse_share
from models.domain.disputes import DisputeState, ReverseDisputedTransfer
from models.domain.money import Money
from models.domain.states import DisputeStatus

_STATUS = {
    "needs_response": DisputeStatus.NEEDS_RESPONSE,
    "warning_needs_response": DisputeStatus.NEEDS_RESPONSE,
    "under_review": DisputeStatus.UNDER_REVIEW,
    "warning_under_review": DisputeStatus.UNDER_REVIEW,
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
    "warning_closed": DisputeStatus.CLOSED,
    "prevented": DisputeStatus.CLOSED,
}


class StripeDisputes:
    """Implements `DisputeGateway`."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    async def look_up_dispute(self, dispute_id: str) -> DisputeState:
        async with translated_errors():
            dispute = await self._client.v1.disputes.retrieve_async(dispute_id)
        transactions = dispute.balance_transactions
        # The platform may settle in another currency than it charges. Then Stripe's fee is in that one.
        fee_currency = transactions[0].currency if transactions else dispute.currency
        due_by = dispute.evidence_details.due_by
        return DisputeState(
            dispute_id=dispute.id,
            charge_id=_id_of(dispute.charge),
            payment_intent_id=_id_of(dispute.payment_intent) if dispute.payment_intent else None,
            amount=Money(amount_minor=dispute.amount, currency=dispute.currency),
            reason=dispute.reason,
            status=_STATUS[dispute.status],
            is_inquiry=dispute.status.startswith("warning_"),
            respond_by=datetime.fromtimestamp(due_by, UTC) if due_by else None,
            withdrawn=any(entry.amount < 0 for entry in transactions),
            reinstated=any(entry.amount > 0 for entry in transactions),
            fee=_sum([entry.fee for entry in transactions if entry.amount < 0], fee_currency),
            fee_returned=_sum([-entry.fee for entry in transactions if entry.amount > 0], fee_currency),
        )

    async def submit_evidence(self, dispute_id: str, evidence: dict[str, str], *, key: str) -> None:
        async with translated_errors():
            await self._client.v1.disputes.update_async(
                dispute_id,
                {"evidence": cast(DisputeUpdateParamsEvidence, evidence), "submit": True},
                {"idempotency_key": key},
            )

    async def accept_dispute(self, dispute_id: str, *, key: str) -> None:
        async with translated_errors():
            await self._client.v1.disputes.close_async(dispute_id, options={"idempotency_key": key})

    async def reverse_disputed_transfer(self, wanted: ReverseDisputedTransfer, *, key: str) -> Money:
        async with translated_errors():
            charge = await self._client.v1.charges.retrieve_async(
                wanted.charge_id, {"expand": ["transfer", "balance_transaction"]}
            )
            label = {"dispute_id": wanted.dispute_id}
            return await reverse_share(self._client, charge, wanted.amount, wanted.left, label, key)


def _sum(amounts: list[int], currency: str) -> Money:
    return Money(amount_minor=sum(amounts), currency=currency)


def _id_of(reference: object) -> str:
    return reference if isinstance(reference, str) else str(getattr(reference, "id", ""))
