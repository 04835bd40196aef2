"""Events and balances at Stripe. Sources: API reference, "Events", "Balance transactions", "Charges", "Disputes"."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import stripe

from activities.gateways import BalanceTransaction, ChargeBalances, EventSeen
from activities.stripe.errors import ACCOUNT_INVALID, code_of, translated_errors
from models.domain.conversions import Conversion
from models.domain.money import Money
from models.domain.stripe_events import CONNECT_EVENTS, PLATFORM_EVENTS, THIN_EVENTS, StripeEvent

_PAGE_SIZE = 100
_EXPAND = ["balance_transaction", "transfer", "application_fee", "payment_intent"]
_MAX_TYPES = 20
"""The most event types in one request."""
_TO_CHARGE = ("originating_transaction", "source_transaction", "charge")


class StripeBalances:
    """Implements `BalanceGateway`."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    async def events(self, account_id: str | None, since: datetime) -> AsyncIterator[EventSeen]:
        """None for an account that is deleted or no longer connected."""
        types = sorted(PLATFORM_EVENTS if account_id is None else CONNECT_EVENTS)
        assert len(types) <= _MAX_TYPES
        async with translated_errors():
            try:
                page = await self._client.v1.events.list_async(
                    {"types": types, "created": {"gte": int(since.timestamp())}, "limit": _PAGE_SIZE},
                    _options(account_id),
                )
                async for event in page.auto_paging_iter():
                    data = event.data.to_dict()
                    yield EventSeen(
                        event=StripeEvent.of(event.id, event.type, account_id, data),
                        created_at=datetime.fromtimestamp(event.created, UTC),
                    )
            except stripe.PermissionError as error:
                if code_of(error) != ACCOUNT_INVALID:
                    raise
            if account_id:
                async for seen in self._thin_events(account_id, since):
                    yield seen

    async def _thin_events(self, account_id: str, since: datetime) -> AsyncIterator[EventSeen]:
        """None if the platform has no access to Accounts v2, which not every older platform has."""
        try:
            page = await self._client.v2.core.events.list_async(
                {
                    "object_id": account_id,
                    "types": sorted(THIN_EVENTS),
                    "created": {"gte": since.isoformat()},
                    "limit": _PAGE_SIZE,
                }
            )
        except (stripe.PermissionError, stripe.InvalidRequestError):
            return
        async for event in page.auto_paging_iter():
            yield EventSeen(
                event=StripeEvent(id=event.id, type=event.type, account=account_id),
                created_at=datetime.fromisoformat(event.created),
            )

    async def balance_transactions(self, since: datetime) -> AsyncIterator[BalanceTransaction]:
        async with translated_errors():
            found = await self._client.v1.balance_transactions.list_async(
                {"created": {"gte": int(since.timestamp())}, "limit": _PAGE_SIZE, "expand": ["data.source"]}
            )
            async for line in found.auto_paging_iter():
                charge_id = await charge_of(self._client, line.source)
                yield BalanceTransaction(charge_id=charge_id, created_at=datetime.fromtimestamp(line.created, UTC))

    async def of_charge(self, charge_id: str, currency: str) -> ChargeBalances:
        """All zero for a charge that Stripe does not know, so that what the ledger has of it is a drift."""

        def money(amount_minor: int) -> Money:
            return Money(amount_minor=amount_minor, currency=currency)

        async with translated_errors():
            try:
                charge = await self._client.v1.charges.retrieve_async(charge_id, {"expand": _EXPAND})
            except stripe.InvalidRequestError as error:
                if code_of(error) != "resource_missing":
                    raise
                return ChargeBalances(held=money(0), platform=money(0), connected=money(0), fee=None)
            refunded = await self._refunded(charge) if charge.amount_refunded or charge.refunded else 0
            disputes = await self._disputes(charge) if charge.disputed else []
            transfers = await transfers_of_charge(self._client, charge)
            share = sum(each.amount - each.amount_reversed for each in transfers)
        conversion = conversion_of(charge) if any(each.currency != currency for each in transfers) else None
        transferred = conversion.back(share).amount_minor if conversion else share
        booked = getattr(charge, "balance_transaction", None)
        fee = getattr(charge, "application_fee", None)
        lines = [line for dispute in disputes for line in dispute.balance_transactions]
        fees = Counter[str]()
        for line in [booked, *lines]:
            if isinstance(line, stripe.BalanceTransaction):
                fees[line.currency] += line.fee
        platform_fee = fee.amount - fee.amount_refunded if isinstance(fee, stripe.ApplicationFee) else 0
        captured = charge.amount_captured if charge.captured else 0
        return ChargeBalances(
            held=money(_held(charge)),
            platform=money(
                captured
                - fees.pop(currency, 0)
                - transferred
                + platform_fee
                - refunded
                - sum(map(_withdrawn, disputes))
            ),
            connected=money(transferred - platform_fee),
            fee=Money(amount_minor=booked.fee, currency=booked.currency)
            if isinstance(booked, stripe.BalanceTransaction)
            else None,
            in_other_currencies=tuple(Money(amount_minor=-fee, currency=other) for other, fee in sorted(fees.items())),
            conversion=conversion,
            settled_share_minor=share if conversion else None,
        )

    async def balance_of(self, account_id: str) -> dict[str, int]:
        """Empty for an account that is deleted or no longer connected."""
        sums: dict[str, int] = {}
        async with translated_errors():
            try:
                balance = await self._client.v1.balance.retrieve_async(options=_options(account_id))
            except stripe.PermissionError as error:
                if code_of(error) != ACCOUNT_INVALID:
                    raise
                return sums
        for part in [*balance.available, *balance.pending]:
            sums[part["currency"]] = sums.get(part["currency"], 0) + part["amount"]
        return sums

    async def settled_on_platform(self, charge_id: str) -> Money:
        """Adds up the balance transactions of everything that has moved the charge's money."""
        own = ["balance_transaction", "transfer.balance_transaction", "application_fee.balance_transaction"]
        booked = ["data.balance_transaction"]
        async with translated_errors():
            charge = await self._client.v1.charges.retrieve_async(charge_id, {"expand": own})
            lines = [charge.balance_transaction]
            fee = getattr(charge, "application_fee", None)
            for transfer in await transfers_of_charge(self._client, charge):
                reversals = await self._client.v1.transfers.reversals.list_async(
                    transfer.id, {"limit": _PAGE_SIZE, "expand": booked}
                )
                lines += [transfer.balance_transaction]
                lines += [each.balance_transaction async for each in reversals.auto_paging_iter()]
            if isinstance(fee, stripe.ApplicationFee):
                returned = await self._client.v1.application_fees.refunds.list_async(
                    fee.id, {"limit": _PAGE_SIZE, "expand": booked}
                )
                lines += [fee.balance_transaction]
                lines += [each.balance_transaction async for each in returned.auto_paging_iter()]
            both = [*booked, "data.failure_balance_transaction"]
            refunds = await self._client.v1.refunds.list_async(
                {"charge": charge_id, "limit": _PAGE_SIZE, "expand": both}
            )
            async for refund in refunds.auto_paging_iter():
                lines += [refund.balance_transaction, getattr(refund, "failure_balance_transaction", None)]
            for dispute in await self._disputes(charge) if charge.disputed else []:
                lines += dispute.balance_transactions
        return _sum_of([(line.currency, line.amount) for line in lines if isinstance(line, stripe.BalanceTransaction)])

    async def settled_on_account(self, charge_id: str, account_id: str) -> Money | None:
        """The payment on the account, its refunds, and the parts of the application fee that went back."""
        own = _options(account_id)
        async with translated_errors():
            charge = await self._client.v1.charges.retrieve_async(charge_id, {"expand": ["transfer"]})
            fee_id = getattr(charge, "application_fee", None)
            lines: list[object] = []
            try:
                for transfer in await transfers_of_charge(self._client, charge):
                    lines += await self._lines_of_payment(id_of(transfer.destination_payment), own)
            except stripe.PermissionError as error:
                if code_of(error) != ACCOUNT_INVALID:
                    raise
            if not lines:
                return None
            if fee_id:
                returned = await self._client.v1.balance_transactions.list_async(
                    {"source": fee_id, "limit": _PAGE_SIZE}, own
                )
                lines += [each async for each in returned.auto_paging_iter()]
        return _sum_of([(line.currency, line.net) for line in lines if isinstance(line, stripe.BalanceTransaction)])

    async def _lines_of_payment(self, payment_id: str, own: stripe.RequestOptions) -> list[object]:
        """The balance transactions of a payment on a connected account, and of its refunds."""
        payment = await self._client.v1.charges.retrieve_async(payment_id, {"expand": ["balance_transaction"]}, own)
        refunds = await self._client.v1.refunds.list_async(
            {"charge": payment_id, "limit": _PAGE_SIZE, "expand": ["data.balance_transaction"]}, own
        )
        return [payment.balance_transaction, *[each.balance_transaction async for each in refunds.auto_paging_iter()]]

    async def transferred_without_charge(self, account_id: str) -> dict[str, int]:
        sums = Counter[str]()
        async with translated_errors():
            transfers = await self._client.v1.transfers.list_async({"destination": account_id, "limit": _PAGE_SIZE})
            async for transfer in transfers.auto_paging_iter():
                if transfer.source_transaction is None:
                    sums[transfer.currency] += transfer.amount - transfer.amount_reversed
        return sums

    async def _refunded(self, charge: stripe.Charge) -> int:
        """Leaves out what a partial capture released, which has no balance transaction, and refunds that failed."""
        refunds = await self._client.v1.refunds.list_async({"charge": charge.id, "limit": _PAGE_SIZE})
        return sum(
            [
                refund.amount
                async for refund in refunds.auto_paging_iter()
                if refund.balance_transaction and not getattr(refund, "failure_balance_transaction", None)
            ]
        )

    async def _disputes(self, charge: stripe.Charge) -> list[stripe.Dispute]:
        return (await self._client.v1.disputes.list_async({"charge": charge.id, "limit": _PAGE_SIZE})).data


def _sum_of(amounts: list[tuple[str, int]]) -> Money:
    """Of amounts in one currency."""
    [currency] = {currency for currency, _ in amounts}
    return Money(amount_minor=sum(amount for _, amount in amounts), currency=currency)


def _options(account_id: str | None) -> stripe.RequestOptions:
    return {"stripe_account": account_id} if account_id else {}


def _withdrawn(dispute: stripe.Dispute) -> int:
    """What the bank has taken and not given back, in the charge's currency. The balance may be in another one."""
    taken = 0
    for line in dispute.balance_transactions:
        if line.currency == dispute.currency:
            taken -= line.amount
        else:
            taken += dispute.amount if line.amount < 0 else -dispute.amount
    return taken


def _held(charge: stripe.Charge) -> int:
    intent = charge.payment_intent
    if isinstance(intent, stripe.PaymentIntent) and intent.status == "requires_capture":
        return intent.amount_capturable
    return 0


def conversion_of(charge: stripe.Charge) -> Conversion | None:
    """`None` if Stripe has not converted the charge, or not booked it yet. Its balance transaction must be expanded."""
    booked = getattr(charge, "balance_transaction", None)
    if not isinstance(booked, stripe.BalanceTransaction) or booked.currency == charge.currency:
        return None
    return Conversion(
        charged=Money(amount_minor=charge.amount_captured, currency=charge.currency),
        settled=Money(amount_minor=booked.amount, currency=booked.currency),
    )


async def transfers_of_charge(client: stripe.StripeClient, charge: stripe.Charge) -> list[stripe.Transfer]:
    """A destination charge's own, which must be expanded; else those that were made of the charge later."""
    own = getattr(charge, "transfer", None)
    if isinstance(own, stripe.Transfer):
        return [own]
    if charge.transfer_group is None:
        return []
    made = await client.v1.transfers.list_async(
        {"transfer_group": charge.transfer_group, "limit": _PAGE_SIZE, "expand": ["data.balance_transaction"]}
    )
    return [
        each
        async for each in made.auto_paging_iter()
        if each.source_transaction and id_of(each.source_transaction) == charge.id
    ]


async def charge_of(client: stripe.StripeClient, source: object) -> str | None:
    """The student's charge that a balance transaction's expanded source belongs to, if any.

    A reversed transfer's source is the transfer, and a refunded fee's the application fee. The reversal and the fee
    refund, which the API reference leads one to expect, are followed as well.
    """
    if isinstance(source, stripe.Charge):
        return source.id
    if isinstance(source, stripe.TransferReversal):
        source = await client.v1.transfers.retrieve_async(id_of(source.transfer))
    elif isinstance(source, stripe.ApplicationFeeRefund):
        source = await client.v1.application_fees.retrieve_async(id_of(source.fee))
    for name in _TO_CHARGE:
        if found := getattr(source, name, None):
            return id_of(found)
    return None


def id_of(reference: object) -> str:
    return reference if isinstance(reference, str) else str(getattr(reference, "id", ""))
