"""The external accounts API: a connected account's bank accounts (API reference, "External accounts")."""

from sandbox.stripe import bank_accounts, onboarding
from sandbox.stripe.bank_accounts import KIND
from sandbox.stripe.context import Call
from sandbox.stripe.errors import account_invalid, invalid, no_such
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.lists import page
from sandbox.stripe.store import Record


def create(call: Call) -> JsonObject:
    """Add a bank account, which becomes the default for payouts."""
    account = _account(call)
    bank = bank_accounts.add(call.context, account, call.params["external_account"])
    bank.body["metadata"] = merged_metadata(None, call.params.get("metadata"))
    call.context.store.save(bank)
    call.context.emit(bank, "account.external_account.created")
    onboarding.provide(call.context, account, ["external_account"])
    return bank.body


def retrieve(call: Call) -> JsonObject:
    return _bank(call, _account(call)).body


def list_all(call: Call) -> JsonObject:
    account = _account(call)
    records = bank_accounts.of(call.context, account.id)
    return page(call, records, f"/v1/accounts/{account.id}/external_accounts", KIND)


def delete(call: Call) -> JsonObject:
    bank = _bank(call, _account(call))
    if bank.body["default_for_currency"]:
        raise invalid("You cannot delete the default external account for your default currency.")
    call.context.emit(bank, "account.external_account.deleted")
    call.context.store.remove(KIND, bank.id)
    return {"id": bank.id, "object": KIND, "deleted": True}


def _account(call: Call) -> Record:
    record = call.context.store.find("account", call.path["account"])
    if record is None or record.owner != call.account:
        raise account_invalid(call.path["account"])
    return record


def _bank(call: Call, account: Record) -> Record:
    record = call.context.store.find(KIND, call.path["id"])
    if record is None or record.owner != account.id:
        raise no_such("external account", call.path["id"], "id")
    return record
