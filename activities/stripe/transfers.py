"""Charges of the platform's, and transfers of their parts. Sources: API reference, "Transfers", "Transfer Reversals",
"Refunds"; docs "Create separate charges and transfers"."""

from uuid import UUID

import stripe

from activities.gateways import ShareTransfer
from activities.stripe.accounts import StripeAccounts
from activities.stripe.balances import conversion_of, id_of, transfers_of_charge
from activities.stripe.errors import translated_errors
from models.domain.money import Money
from models.domain.stripe_events import BOOKING_METADATA


class StripeTransfers(StripeAccounts):
    """The part of `PaymentGateway` for payments that are charged first and transferred later."""

    async def transfers_of(self, charge_id: str, booking_id: UUID) -> list[ShareTransfer]:
        """The group is the booking's; the charge tells apart a payment that was made again."""
        async with translated_errors():
            found = await self._client.v1.transfers.list_async({"transfer_group": str(booking_id), "limit": 100})
            return [
                ShareTransfer(
                    transfer_id=each.id,
                    amount=Money(amount_minor=each.amount, currency=each.currency),
                    reversed_minor=each.amount_reversed,
                )
                async for each in found.auto_paging_iter()
                if each.source_transaction and id_of(each.source_transaction) == charge_id
            ]

    async def transfer(self, charge_id: str, account_id: str, booking_id: UUID, amount: Money, *, key: str) -> None:
        async with translated_errors():
            await self._client.v1.transfers.create_async(
                {
                    "amount": amount.amount_minor,
                    "currency": amount.currency,
                    "destination": account_id,
                    "source_transaction": charge_id,
                    "transfer_group": str(booking_id),
                    "metadata": {BOOKING_METADATA: str(booking_id)},
                },
                {"idempotency_key": key},
            )

    async def reverse_transfer(self, transfer_id: str, amount: Money, *, key: str) -> None:
        async with translated_errors():
            await self._client.v1.transfers.reversals.create_async(
                transfer_id, {"amount": amount.amount_minor}, {"idempotency_key": key}
            )

    async def refund_charge(
        self, payment_intent_id: str, booking_id: UUID, amount: Money | None, *, is_fraudulent: bool, key: str
    ) -> None:
        params: stripe.params.RefundCreateParams = {
            "payment_intent": payment_intent_id,
            "reason": "fraudulent" if is_fraudulent else "requested_by_customer",
            "metadata": {BOOKING_METADATA: str(booking_id)},
        }
        if amount is not None:
            params["amount"] = amount.amount_minor
        async with translated_errors():
            await self._client.v1.refunds.create_async(params, {"idempotency_key": key})


async def reverse_share(
    client: stripe.StripeClient,
    charge: stripe.Charge,
    share: Money,
    left: Money | None,
    label: dict[str, str],
    key: str,
) -> Money:
    """Take a share back from the instructor, of whom `left` stays. Returns what was taken back, as it was charged.

    An earlier reversal is found by the first entry of its `label`, since keys expire. Reverses no more than the largest
    transfer has left. The charge must be expanded with its transfer and its balance transaction.
    """
    made = await transfers_of_charge(client, charge)
    largest = max(made, key=_left_of, default=None)
    if largest is None:
        return share.zero()
    taken_minor = await _reversed_as(client, made, *next(iter(label.items())))
    conversion = conversion_of(charge) if largest.currency != charge.currency else None
    wanted_minor = share.amount_minor
    if conversion and left is not None:
        # What stays is converted, not what goes: so nothing is left of it in the end.
        wanted_minor = sum(map(_left_of, made)) + (taken_minor or 0) - conversion.of(left).amount_minor
    elif conversion:
        wanted_minor = conversion.of(share).amount_minor
    if taken_minor is None:
        taken_minor = max(min(wanted_minor, _left_of(largest)), 0)
        if taken_minor:
            await client.v1.transfers.reversals.create_async(
                largest.id, {"amount": taken_minor, "metadata": label}, {"idempotency_key": key}
            )
    if conversion is None:
        return Money(amount_minor=taken_minor, currency=charge.currency)
    return share if taken_minor >= wanted_minor else min(share, conversion.back(taken_minor))


async def _reversed_as(client: stripe.StripeClient, made: list[stripe.Transfer], name: str, value: str) -> int | None:
    for transfer in made:
        reversals = await client.v1.transfers.reversals.list_async(transfer.id, {"limit": 100})
        async for reversal in reversals.auto_paging_iter():
            if reversal.metadata and reversal.metadata.to_dict().get(name) == value:
                return reversal.amount
    return None


def _left_of(transfer: stripe.Transfer) -> int:
    return transfer.amount - transfer.amount_reversed
