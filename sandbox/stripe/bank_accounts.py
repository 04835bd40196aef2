"""Bank accounts, and the behaviour of Stripe's test account numbers.

Sources: API reference, "External accounts"; docs "Testing Stripe Connect", "Payouts".
"""

from sandbox.stripe.context import Context
from sandbox.stripe.errors import no_such
from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject, copied
from sandbox.stripe.lists import list_of
from sandbox.stripe.store import Record

KIND = "bank_account"
DEFAULT_NUMBER = "000123456789"
ROUTING_NUMBER = "110000000"

# Payouts fail with this code if the account number ends with these digits.
FAILURES = {
    "1116": "no_account",
    "1113": "account_closed",
    "2227": "insufficient_funds",
    "3335": "debit_not_authorized",
    "4440": "invalid_currency",
}

_TOKENS = {
    "btok_us_accountClosed": "000111111113",
    "btok_us_noAccount": "000111111116",
    "btok_us_insufficientFunds": "000222222227",
    "btok_us_debitNotAuthorized": "000333333335",
    "btok_us_invalidCurrency": "000444444440",
}
_NO_REQUIREMENTS: JsonObject = {"currently_due": [], "errors": [], "past_due": [], "pending_verification": []}


def add(context: Context, account: Record, external_account: JsonObject | str) -> Record:
    """Store the bank account of an `external_account` parameter (a token or the numbers) as the default one."""
    details = (
        external_account if isinstance(external_account, dict) else {"account_number": _number_of(external_account)}
    )
    number = details.get("account_number") or DEFAULT_NUMBER
    for old in of(context, account.id):
        old.body["default_for_currency"] = False
        context.store.save(old)
    body: JsonObject = {
        "id": new_id("ba"),
        "object": KIND,
        "account": account.id,
        "account_holder_name": details.get("account_holder_name"),
        "account_holder_type": details.get("account_holder_type"),
        "account_type": None,
        "available_payout_methods": ["standard"],
        "bank_name": "STRIPE TEST BANK",
        "country": details.get("country", account.body["country"]),
        "currency": details.get("currency", account.body["default_currency"]),
        "default_for_currency": True,
        "fingerprint": f"SandboxBank{number[-5:]}",
        "future_requirements": copied(_NO_REQUIREMENTS),
        "last4": number[-4:],
        "metadata": {},
        "requirements": copied(_NO_REQUIREMENTS),
        "routing_number": details.get("routing_number", ROUTING_NUMBER),
        "status": "new",
    }
    return context.store.put(KIND, body["id"], owner=account.id, body=body)


def default_of(context: Context, account: str) -> Record | None:
    """The bank account that receives payouts, or None if a failed payout has disabled it."""
    usable = (bank for bank in of(context, account) if bank.body["status"] != "errored")
    return next((bank for bank in usable if bank.body["default_for_currency"]), None)


def included(context: Context, account: Record) -> JsonObject:
    """The list in `account.external_accounts`."""
    records = of(context, account.id)
    return list_of(f"/v1/accounts/{account.id}/external_accounts", [record.body for record in records])


def of(context: Context, account: str) -> list[Record]:
    return context.store.newest_first(KIND, lambda record: record.owner == account)


def _number_of(token: str) -> str:
    if not token.startswith(("btok_", "tok_")):
        raise no_such("token", token, "external_account", status=400)
    return _TOKENS.get(token, DEFAULT_NUMBER)
