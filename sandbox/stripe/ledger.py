"""The ledger: `post` records every change of a balance, and a balance is the sum of its transactions."""

from dataclasses import dataclass, replace

from sandbox.stripe import settlement
from sandbox.stripe.clock import Clock
from sandbox.stripe.ids import APPLICATION, new_id
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.money import ProcessingFee
from sandbox.stripe.store import Store

KIND = "balance_transaction"
DAY_SECONDS = 86_400

# A card payment in the US becomes available two days later (docs "Payouts", "Payout speed"), at midnight.
SETTLEMENT_SECONDS = 2 * DAY_SECONDS

# Docs "Reporting categories".
_REPORTING_CATEGORY = {
    "charge": "charge",
    "payment": "charge",
    "refund": "refund",
    "payment_refund": "refund",
    "refund_failure": "refund_failure",
    "transfer": "transfer",
    "transfer_refund": "transfer_reversal",
    "application_fee": "platform_earning",
    "application_fee_refund": "platform_earning_refund",
    "payout": "payout",
    "payout_failure": "payout_reversal",
    "payout_cancel": "payout_reversal",
}


@dataclass(frozen=True)
class Fee:
    """One line of a balance transaction's `fee_details`. The amount of a returned fee of Stripe's is negative."""

    type: str
    amount: int
    description: str

    @property
    def application(self) -> str | None:
        return APPLICATION if self.type == "application_fee" else None


def stripe_fee(fee: ProcessingFee, amount: int) -> Fee:
    return Fee("stripe_fee", fee.of(amount), "Stripe processing fees")


def application_fee(amount: int) -> Fee:
    return Fee("application_fee", amount, "Application fee")


class Ledger:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def post(
        self,
        account: str,
        *,
        type: str,
        amount: int,
        currency: str,
        source: str,
        fee: Fee | None = None,
        available_on: int | None = None,
        description: str | None = None,
        reporting_category: str | None = None,
    ) -> str:
        """Record a balance transaction of the account and return its `txn_` id.

        `amount` is gross and signed. The balance changes by `amount` less the fee. A transaction becomes available at
        a midnight (UTC): that of its `available_on`, or the last one if there is none or it has passed. Amounts are
        converted to the currency in which the account settles.
        """
        now = self._clock.now()
        conversion = settlement.conversion(self._store, account, currency)
        amount, currency = conversion.of(amount), conversion.currency
        fee = replace(fee, amount=conversion.of(fee.amount)) if fee else None
        fee_amount = fee.amount if fee else 0
        body: JsonObject = {
            "id": new_id("txn"),
            "object": KIND,
            "amount": amount,
            "available_on": midnight(max(now, available_on or now)),
            "balance_type": "payments",
            "created": now,
            "currency": currency,
            "description": description,
            "exchange_rate": conversion.exchange_rate,
            "fee": fee_amount,
            "fee_details": [_fee_detail(fee, currency)] if fee and fee.amount else [],
            "net": amount - fee_amount,
            "reporting_category": reporting_category or _REPORTING_CATEGORY[type],
            "source": source,
            "status": "pending",
            "type": type,
        }
        self._store.put(KIND, body["id"], owner=account, body=body)
        return str(body["id"])

    def available_on(self, transaction: str) -> int:
        return int(self._store.get(KIND, transaction).body["available_on"])

    def balance(self, account: str) -> dict[str, tuple[int, int]]:
        """The available and the pending amount, by currency."""
        now = self._clock.now()
        sums: dict[str, tuple[int, int]] = {}
        for record in self._store.scan(KIND):
            if record.owner != account:
                continue
            body = record.body
            available, pending = sums.get(body["currency"], (0, 0))
            if body["available_on"] <= now:
                available += body["net"]
            else:
                pending += body["net"]
            sums[body["currency"]] = (available, pending)
        return sums

    def assign_to_payout(self, payout: str, account: str, currency: str) -> None:
        """Assign the available transactions that no payout has yet to an automatic payout.

        With the payout's own transaction they add up to zero (docs "Payout reconciliation").
        """
        now = self._clock.now()
        for record in self._store.newest_first(
            KIND,
            lambda record: (
                record.owner == account
                and record.body["currency"] == currency
                and record.body["available_on"] <= now
                and "payout" not in record.hidden
            ),
        ):
            record.hidden["payout"] = payout
            self._store.save(record)

    def available(self, account: str, currency: str) -> int:
        return self.balance(account).get(currency, (0, 0))[0]


def midnight(moment: int) -> int:
    """The last midnight (UTC) until then."""
    return moment // DAY_SECONDS * DAY_SECONDS


def _fee_detail(fee: Fee, currency: str) -> JsonObject:
    return {
        "amount": fee.amount,
        "application": fee.application,
        "currency": currency,
        "description": fee.description,
        "type": fee.type,
    }
