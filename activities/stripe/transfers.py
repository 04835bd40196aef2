"""Charges of the platform's, and transfers of their parts. Sources: API reference, "Transfers", "Transfer Reversals",
"Refunds"; docs "Create separate charges and transfers"."""

from uuid import UUID

import stripe

from activities.gateways import ShareTransfer
from activities.stripe.accounts import StripeAccounts
from activities.stripe.balances import id_of
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

    async def refund_charge(self, payment_intent_id: str, booking_id: UUID, amount: Money | None, *, key: str) -> None:
        params: stripe.params.RefundCreateParams = {
            "payment_intent": payment_intent_id,
            "reason": "requested_by_customer",
            "metadata": {BOOKING_METADATA: str(booking_id)},
        }
        if amount is not None:
            params["amount"] = amount.amount_minor
        async with translated_errors():
            await self._client.v1.refunds.create_async(params, {"idempotency_key": key})
