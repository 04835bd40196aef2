"""Payouts at Stripe. Sources: API reference, "Payouts", "Balance transactions"; docs "Payout reconciliation",
"Payouts to connected accounts" (which transfers a connected account's payout is made of).
"""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import stripe

from activities.stripe.balances import charge_of, id_of
from activities.stripe.errors import translated_errors
from models.domain.money import Money
from models.domain.payouts import CANCELED, PayoutLine, PayoutOrder, PayoutPhase, PayoutState

_PHASE = {
    "pending": PayoutPhase.IN_TRANSIT,
    "in_transit": PayoutPhase.IN_TRANSIT,
    "paid": PayoutPhase.ARRIVED,
    "failed": PayoutPhase.FAILED,
    "canceled": PayoutPhase.CANCELED,
}
# Where a connected account's balance transaction refers to the platform's transfer. Each type needs its own list
# request: Stripe can expand only a field that all objects of the list have.
_TRANSFER_AT = {
    "payment": "data.source.source_transfer",
    "payment_refund": "data.source.charge.source_transfer",
}
_RETURNED = frozenset({"payout_failure", "payout_cancel"})
# A refunded fee is a line of its own, and no part of the `payment_refund` that goes with it. Its source is the fee.
_FEE_PREFIX = "fee_"


class StripePayouts:
    """Implements `PayoutGateway`."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    async def look_up_payout(self, order: PayoutOrder) -> PayoutState:
        """A manual payout has no lines: Stripe itemizes automatic payouts only."""
        async with translated_errors():
            payout = await self._client.v1.payouts.retrieve_async(
                order.payout_id, options={"stripe_account": order.account_id}
            )
            shares: Counter[str] = Counter()
            carried: list[str] = []
            total = await self._add_lines(order, shares, carried) if payout.automatic else payout.amount
        phase = _PHASE[payout.status]
        return PayoutState(
            payout_id=payout.id,
            account_id=order.account_id,
            amount=Money(amount_minor=payout.amount, currency=payout.currency),
            phase=phase,
            arrives_at=datetime.fromtimestamp(payout.arrival_date, UTC),
            failure_code=CANCELED if phase is PayoutPhase.CANCELED else payout.failure_code,
            lines=tuple(
                PayoutLine(charge_id=charge_id, amount=Money(amount_minor=share, currency=payout.currency))
                for charge_id, share in shares.items()
            ),
            carried=tuple(carried),
            is_itemized=payout.reconciliation_status != "in_progress",
            adds_up=total == payout.amount,
        )

    async def _add_lines(self, order: PayoutOrder, shares: Counter[str], carried: list[str]) -> int:
        """Sum the payout by charge. A failed payout is one line of a later payout, so its own lines are added.

        Returns the sum of all lines but the payout's own, which must be its amount.
        """
        types = set()
        returned = []
        total = 0
        async for line in self._lines(order, {}):
            types.add(line.type)
            if line.type == "payout":
                continue
            total += line.net
            if line.type in _RETURNED:
                returned.append(id_of(line.source))
            elif (source := id_of(line.source)).startswith(_FEE_PREFIX):
                # The fee is the platform's. Not expanded: the connected account may not see it.
                fee = await self._client.v1.application_fees.retrieve_async(source)
                if charge_id := await charge_of(self._client, fee):
                    shares[charge_id] += line.net
        for type_ in types & _TRANSFER_AT.keys():
            async for line in self._lines(order, {"type": type_, "expand": [_TRANSFER_AT[type_]]}):
                if charge_id := _charge_of(line.source):
                    shares[charge_id] += line.net
        for payout_id in returned:
            carried.append(payout_id)
            earlier = PayoutOrder(payout_id=payout_id, account_id=order.account_id)
            if await self._is_automatic(earlier):
                await self._add_lines(earlier, shares, [])
        return total

    async def _lines(
        self, order: PayoutOrder, filters: "stripe.params.BalanceTransactionListParams"
    ) -> AsyncIterator[stripe.BalanceTransaction]:
        found = await self._client.v1.balance_transactions.list_async(
            {"payout": order.payout_id, "limit": 100, **filters}, {"stripe_account": order.account_id}
        )
        async for line in found.auto_paging_iter():
            yield line

    async def _is_automatic(self, order: PayoutOrder) -> bool:
        payout = await self._client.v1.payouts.retrieve_async(
            order.payout_id, options={"stripe_account": order.account_id}
        )
        return payout.automatic


def _charge_of(source: object) -> str | None:
    """The student's charge behind a payment to the connected account, or behind a refund of that payment."""
    payment = source.charge if isinstance(source, stripe.Refund) else source
    transfer = getattr(payment, "source_transfer", None)
    charge = getattr(transfer, "source_transaction", None)
    return id_of(charge) if charge else None
