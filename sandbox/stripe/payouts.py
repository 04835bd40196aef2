"""Payouts from an account's available balance to its bank account, daily or on request.

    pending ──► in_transit ──► paid ──► (the bank may still return it) failed
       └► canceled      └► failed

Sources: API reference, "Payouts"; docs "Payouts to connected accounts", "Payout reconciliation". A failed payout
disables the bank account until another one is added.
"""

from sandbox.stripe import bank_accounts, onboarding
from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.ids import PLATFORM, new_id
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.ledger import DAY_SECONDS, midnight
from sandbox.stripe.lists import listed
from sandbox.stripe.money import check_currency, check_positive
from sandbox.stripe.store import Record

KIND = "payout"
PAY_OUT_DAILY = "pay_out_daily"
SEND_PAYOUT = "send_payout"
ARRIVE_PAYOUT = "arrive_payout"

_FAILURE_MESSAGES = {
    "no_account": "The bank account details on file are probably incorrect. No bank account could be located.",
    "account_closed": "The bank account has been closed.",
    "insufficient_funds": "Your Stripe account has insufficient funds to cover the payout.",
    "debit_not_authorized": "Debit transactions are not approved on your bank account.",
    "invalid_currency": "The bank was unable to process this payout because of its currency.",
    "could_not_process": "The bank could not process this payout.",
}


def create(call: Call) -> JsonObject:
    """Create a manual payout. It can be cancelled until it is sent, at the next midnight (UTC)."""
    params, context = call.params, call.context
    currency, amount = check_currency(params["currency"]), params["amount"]
    check_positive(amount)
    if params.get("method") == "instant":
        raise invalid("The sandbox models standard payouts only.", param="method")
    bank = bank_accounts.default_of(context, call.account)
    if bank is None and call.account != PLATFORM:
        raise invalid("Sorry, you don't have any external accounts in that currency.", param="currency")
    if amount > context.ledger.available(call.account, currency):
        message = "You have insufficient funds in your Stripe account for this payout."
        raise invalid(message, code="balance_insufficient", param="amount")
    record = _make(context, call.account, bank, amount, currency, automatic=False)
    record.body |= call.pick("description", "statement_descriptor")
    record.body["metadata"] = merged_metadata(None, params.get("metadata"))
    context.store.save(record)
    context.timers.set(SEND_PAYOUT, record.id, _next_midnight(context.now()))
    context.emit(record, "payout.created")
    return context.view(record)


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "payout"))


def update(call: Call) -> JsonObject:
    record = call.from_path(KIND, "payout")
    record.body["metadata"] = merged_metadata(record.body["metadata"], call.params.get("metadata"))
    call.context.store.save(record)
    call.context.emit(record, "payout.updated", {})
    return call.context.view(record)


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/payouts", "status", "destination")


def cancel(call: Call) -> JsonObject:
    record = call.from_path(KIND, "payout")
    if record.body["status"] != "pending" or record.body["automatic"]:
        raise invalid("Payouts that were already sent, or that Stripe makes by itself, can't be canceled.")
    context = call.context
    context.timers.clear(SEND_PAYOUT, record.id)
    record.body |= {
        "status": "canceled",
        "failure_balance_transaction": _return_money(context, record, "payout_cancel"),
    }
    context.store.save(record)
    context.emit(record, "payout.canceled")
    return context.view(record)


def pay_out_daily(context: Context, _: str) -> None:
    """Pay out the available balance of each account with a daily schedule. Runs at midnight (UTC)."""
    schedule_daily(context)
    for account in reversed(context.store.newest_first("account")):
        schedule = account.body["settings"]["payouts"]["schedule"]["interval"]
        bank = bank_accounts.default_of(context, account.id)
        if schedule != "daily" or not account.body["payouts_enabled"] or bank is None:
            continue
        for currency, (available, _pending) in sorted(context.ledger.balance(account.id).items()):
            if available > 0:
                _pay_out(context, account.id, bank, available, currency)


def schedule_daily(context: Context) -> None:
    """Schedule the daily payouts for the next midnight."""
    context.timers.set(PAY_OUT_DAILY, "all", _next_midnight(context.now()))


def send(context: Context, id: str) -> None:
    record = context.store.get(KIND, id)
    record.body["status"] = "in_transit"
    context.store.save(record)
    context.timers.set(ARRIVE_PAYOUT, id, record.body["arrival_date"])
    context.emit(record, "payout.updated", {"status": "pending"})


def arrive(context: Context, id: str) -> None:
    """Mark the payout as paid, or as failed if the bank account has a failing test number."""
    record = context.store.get(KIND, id)
    bank = context.store.find(bank_accounts.KIND, record.body["destination"] or "")
    failure = bank_accounts.FAILURES.get(bank.body["last4"]) if bank else None
    if failure is not None:
        fail(context, record, failure)
        return
    record.body["status"] = "paid"
    context.store.save(record)
    context.emit(record, "payout.paid")


def fail(context: Context, record: Record, code: str) -> Record:
    """The bank returned the money, possibly days after `paid`. The bank account is disabled."""
    if record.body["status"] not in ("pending", "in_transit", "paid"):
        raise invalid(f"A payout that is {record.body['status']} can't fail.")
    context.timers.clear(SEND_PAYOUT, record.id)
    context.timers.clear(ARRIVE_PAYOUT, record.id)
    record.body |= {
        "failure_balance_transaction": _return_money(context, record, "payout_failure"),
        "failure_code": code,
        "failure_message": _FAILURE_MESSAGES.get(code, _FAILURE_MESSAGES["could_not_process"]),
        "status": "failed",
    }
    context.store.save(record)
    context.emit(record, "payout.failed")
    _disable_bank_account(context, record)
    return record


def _pay_out(context: Context, account: str, bank: Record, amount: int, currency: str) -> None:
    record = _make(context, account, bank, amount, currency, automatic=True)
    context.ledger.assign_to_payout(record.id, account, currency)
    context.timers.set(ARRIVE_PAYOUT, record.id, record.body["arrival_date"])
    context.emit(record, "payout.created")
    context.emit(record, "payout.reconciliation_completed")


def _make(
    context: Context, account: str, bank: Record | None, amount: int, currency: str, *, automatic: bool
) -> Record:
    body: JsonObject = {
        "id": new_id("po"),
        "object": KIND,
        "amount": amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": _next_midnight(context.now()) + DAY_SECONDS,
        "automatic": automatic,
        "balance_transaction": None,
        "created": context.now(),
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": bank.id if bank else None,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "completed" if automatic else "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "in_transit" if automatic else "pending",
        "trace_id": None,
        "type": "bank_account",
    }
    body["balance_transaction"] = context.ledger.post(
        account, type="payout", amount=-amount, currency=currency, source=body["id"], description="STRIPE PAYOUT"
    )
    return context.store.put(KIND, body["id"], owner=account, body=body)


def _return_money(context: Context, record: Record, type: str) -> str:
    return context.ledger.post(
        record.owner, type=type, amount=record.body["amount"], currency=record.body["currency"], source=record.id
    )


def _disable_bank_account(context: Context, record: Record) -> None:
    bank = context.store.find(bank_accounts.KIND, record.body["destination"] or "")
    if bank is None:
        return
    before = bank.body["status"]
    bank.body["status"] = "errored"
    context.store.save(bank)
    context.emit(bank, "account.external_account.updated", {"status": before})
    onboarding.stop_payouts(context, record.owner)


def _next_midnight(now: int) -> int:
    return midnight(now) + DAY_SECONDS
