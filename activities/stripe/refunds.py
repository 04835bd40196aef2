"""Refunds of captured charges at Stripe, and the connected account's part in them.

Sources: API reference, "Create a refund", "The Refund object", "Early Fraud Warnings"; docs "Destination charges: issue
refunds", "Refunds".
"""

import stripe

from activities.stripe.errors import translated_errors
from activities.stripe.transfers import reverse_share
from models.domain.fraud_warnings import FraudWarning
from models.domain.money import Money
from models.domain.policy import LossBearer, PaymentPlan
from models.domain.refunds import ExternalRefund, RefundAtStripe, RefundSnapshot
from models.domain.states import RefundStatus
from models.domain.stripe_events import BOOKING_METADATA, id_in

_STATUS = {
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
_EXPAND = ["transfer_reversal", "charge.application_fee"]


class StripeRefunds:
    """Implements `RefundGateway`."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    async def find_refund(self, snapshot: RefundSnapshot) -> RefundAtStripe | None:
        async with translated_errors():
            refunds = await self._client.v1.refunds.list_async(
                {
                    "payment_intent": snapshot.payment_intent_id,
                    "limit": 100,
                    "expand": [f"data.{path}" for path in _EXPAND],
                }
            )
            failed = None
            async for refund in refunds.auto_paging_iter():
                metadata = refund.metadata.to_dict() if refund.metadata else {}
                if (
                    metadata.get("refund_id") != str(snapshot.refund_id)
                    or refund.amount != snapshot.amount.amount_minor
                ):
                    continue
                state = _state(refund)
                if state.status is not RefundStatus.FAILED:
                    return state
                if metadata.get("try") == str(snapshot.tries):
                    failed = state
        return failed

    async def create_refund(self, snapshot: RefundSnapshot, *, key: str) -> RefundAtStripe:
        """A retry does not reverse the transfer: a refund that came back has left the shares with the platform."""
        params: stripe.params.RefundCreateParams = {
            "payment_intent": snapshot.payment_intent_id,
            "amount": snapshot.amount.amount_minor,
            "reason": "fraudulent" if snapshot.is_fraudulent else "requested_by_customer",
            "metadata": _metadata(snapshot),
            "expand": _EXPAND,
        }
        async with translated_errors():
            is_shared = snapshot.borne_by is LossBearer.BOTH and snapshot.tries == 1
            if is_shared and snapshot.plan is PaymentPlan.HOLD:
                payment = await self._client.v1.payment_intents.retrieve_async(snapshot.payment_intent_id)
                params["reverse_transfer"] = True
                if payment.application_fee_amount:
                    params["refund_application_fee"] = True
            return _state(await self._client.v1.refunds.create_async(params, {"idempotency_key": key}))

    async def reverse_refunded_share(self, snapshot: RefundSnapshot, *, key: str) -> int:
        async with translated_errors():
            payment = await self._client.v1.payment_intents.retrieve_async(
                snapshot.payment_intent_id, {"expand": ["latest_charge.transfer", "latest_charge.balance_transaction"]}
            )
            charge = payment.latest_charge
            if not isinstance(charge, stripe.Charge):
                return 0
            taken = await reverse_share(
                self._client, charge, snapshot.share, snapshot.share_left, _metadata(snapshot), key
            )
        return taken.amount_minor

    async def look_up_refund(self, stripe_refund_id: str) -> RefundAtStripe:
        async with translated_errors():
            return _state(await self._retrieve(stripe_refund_id))

    async def look_up_fraud_warning(self, warning_id: str) -> FraudWarning:
        async with translated_errors():
            warning = await self._client.v1.radar.early_fraud_warnings.retrieve_async(warning_id)
        return FraudWarning(
            warning_id=warning.id,
            payment_intent_id=str(warning.payment_intent) if warning.payment_intent else None,
            fraud_type=warning.fraud_type,
            is_actionable=warning.actionable,
        )

    async def look_up_external_refund(self, stripe_refund_id: str) -> ExternalRefund:
        async with translated_errors():
            refund = await self._retrieve(stripe_refund_id)
        return ExternalRefund(
            refund=_state(refund),
            payment_intent_id=str(refund.payment_intent or ""),
            amount=Money(amount_minor=refund.amount, currency=refund.currency),
            labelled=id_in(refund.metadata.to_dict() if refund.metadata else {}, "refund_id"),
        )

    async def _retrieve(self, stripe_refund_id: str) -> stripe.Refund:
        return await self._client.v1.refunds.retrieve_async(stripe_refund_id, {"expand": _EXPAND})


def _metadata(snapshot: RefundSnapshot) -> dict[str, str]:
    return {
        "refund_id": str(snapshot.refund_id),
        BOOKING_METADATA: str(snapshot.parties.booking_id),
        "try": str(snapshot.tries),
    }


def _state(refund: stripe.Refund) -> RefundAtStripe:
    """Stripe omits fields that do not apply."""
    reversal, charge = refund.transfer_reversal, refund.charge
    fee = charge.application_fee if isinstance(charge, stripe.Charge) else None
    fee_share_minor = None
    if isinstance(charge, stripe.Charge) and isinstance(fee, stripe.ApplicationFee):
        fee_share_minor = -(-fee.amount * refund.amount // charge.amount_captured)
    return RefundAtStripe(
        stripe_refund_id=refund.id,
        status=_STATUS[refund.status or "pending"],
        is_sent=refund.balance_transaction is not None,
        failure_reason=getattr(refund, "failure_reason", None),
        pending_reason=getattr(refund, "pending_reason", None),
        reversed_minor=reversal.amount if isinstance(reversal, stripe.TransferReversal) else 0,
        fee_returned_minor=fee.amount_refunded if isinstance(fee, stripe.ApplicationFee) else 0,
        fee_share_minor=fee_share_minor,
    )
