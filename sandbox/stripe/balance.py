"""Balances and balance transactions of one account (API reference, "Balance", "Balance transactions")."""

from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.ledger import KIND
from sandbox.stripe.lists import listed
from sandbox.stripe.store import Record

_ZERO_BALANCE = {"usd": (0, 0)}


def retrieve(call: Call) -> JsonObject:
    sums = call.context.ledger.balance(call.account) or _ZERO_BALANCE
    return {
        "object": "balance",
        "available": [_line(amount, currency) for currency, (amount, _) in sorted(sums.items())],
        "livemode": False,
        "pending": [_line(amount, currency) for currency, (_, amount) in sorted(sums.items())],
    }


def retrieve_transaction(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "id"))


def list_transactions(call: Call) -> JsonObject:
    payout = call.params.get("payout")

    if payout is not None and not call.find("payout", payout, "payout").body["automatic"]:
        raise invalid("Balance transaction history can only be filtered on automatic transfers, not manual.")

    def in_payout(record: Record) -> bool:
        return payout is None or record.hidden.get("payout") == payout

    return listed(
        call, KIND, "/v1/balance_transactions", "currency", "source", "type", keep=in_payout, keep_params=("payout",)
    )


def view_transaction(context: Context, record: Record) -> JsonObject:
    """A transaction is pending until its `available_on`."""
    status = "available" if record.body["available_on"] <= context.now() else "pending"
    return record.body | {"status": status}


def _line(amount: int, currency: str) -> JsonObject:
    return {"amount": amount, "currency": currency, "source_types": {"card": amount}}
