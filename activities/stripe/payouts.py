"""Payouts at Stripe. Sources: API reference, "Payouts", "Balance transactions"; docs "Payout reconciliation",
"Payouts to connected accounts" (which transfers a connected account's payout is made of).
"""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import stripe

from activities.stripe.errors import translated_errors
from models.domain.money import Money
from models.domain.payouts import CALLED_OFF, PayoutLine, PayoutOrder, PayoutPhase, PayoutState

_PHASE = {
    "pending": PayoutPhase.UNDER_WAY,
    "in_transit": PayoutPhase.UNDER_WAY,
    "paid": PayoutPhase.ARRIVED,
    "failed": PayoutPhase.FAILED,
    "canceled": PayoutPhase.CALLED_OFF,
}
# Where a connected account's line has the platform's transfer. Stripe expands only what each of a list's objects has,
# so that each type is a list of its own.
_TRANSFER_AT = {
    "payment": "data.source.source_transfer",
    "payment_refund": "data.source.charge.source_transfer",
}
_SENT_BACK = frozenset({"payout_failure", "payout_cancel"})


class StripePayouts:
    """Implements `PayoutGateway`."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    async def look_up_payout(self, order: PayoutOrder) -> PayoutState:
        """What is in a payout that was asked for by hand Stripe does not say, so that it has no lines."""
        async with translated_errors():
            payout = await self._client.v1.payouts.retrieve_async(
                order.payout_id, options={"stripe_account": order.account_id}
            )
            shares: Counter[str] = Counter()
            carried: list[str] = []
            if payout.automatic:
                await self._open(order, shares, carried)
        phase = _PHASE[payout.status]
        return PayoutState(
            payout_id=payout.id,
            account_id=order.account_id,
            amount=Money(amount_minor=payout.amount, currency=payout.currency),
            phase=phase,
            arrives_at=datetime.fromtimestamp(payout.arrival_date, UTC),
            failure_code=CALLED_OFF if phase is PayoutPhase.CALLED_OFF else payout.failure_code,
            lines=tuple(
                PayoutLine(charge_id=charge_id, amount=Money(amount_minor=share, currency=payout.currency))
                for charge_id, share in shares.items()
            ),
            carried=tuple(carried),
            is_itemized=payout.reconciliation_status != "in_progress",
        )

    async def _open(self, order: PayoutOrder, shares: Counter[str], carried: list[str]) -> None:
        """Add up what is in the payout. One that came back is in a later one as a whole, so it is opened in turn."""
        kinds = set()
        sent_back = []
        async for line in self._lines(order, {}):
            kinds.add(line.type)
            if line.type in _SENT_BACK:
                sent_back.append(_id_of(line.source))
        for kind in kinds & _TRANSFER_AT.keys():
            async for line in self._lines(order, {"type": kind, "expand": [_TRANSFER_AT[kind]]}):
                if charge_id := _charge_of(line.source):
                    shares[charge_id] += line.net
        for payout_id in sent_back:
            carried.append(payout_id)
            earlier = PayoutOrder(payout_id=payout_id, account_id=order.account_id)
            if await self._is_automatic(earlier):
                await self._open(earlier, shares, [])

    async def _lines(
        self, order: PayoutOrder, narrowed: "stripe.params.BalanceTransactionListParams"
    ) -> AsyncIterator[stripe.BalanceTransaction]:
        found = await self._client.v1.balance_transactions.list_async(
            {"payout": order.payout_id, "limit": 100, **narrowed}, {"stripe_account": order.account_id}
        )
        async for line in found.auto_paging_iter():
            yield line

    async def _is_automatic(self, order: PayoutOrder) -> bool:
        payout = await self._client.v1.payouts.retrieve_async(
            order.payout_id, options={"stripe_account": order.account_id}
        )
        return payout.automatic


def _charge_of(source: object) -> str | None:
    """The student's charge that the account's payment, or its refund, goes back to."""
    payment = source.charge if isinstance(source, stripe.Refund) else source
    transfer = getattr(payment, "source_transfer", None)
    charge = getattr(transfer, "source_transaction", None)
    return _id_of(charge) if charge else None


def _id_of(reference: object) -> str:
    return reference if isinstance(reference, str) else str(getattr(reference, "id", ""))
