"""Connected accounts (v1, with `controller` properties), their capabilities and login links.

Sources: API reference, "Accounts", "Capabilities", "Login links"; docs "Account capabilities".
"""

from sandbox.stripe import bank_accounts, onboarding
from sandbox.stripe.account_bodies import KIND, blank, payout_interval, platform
from sandbox.stripe.context import Call, Context
from sandbox.stripe.dynamic_payment_methods import platform_country
from sandbox.stripe.errors import account_invalid, invalid, no_such
from sandbox.stripe.ids import PLATFORM, new_token
from sandbox.stripe.json_values import JsonObject, copied, merged_metadata
from sandbox.stripe.lists import list_of, listed
from sandbox.stripe.store import Record


def create(call: Call) -> JsonObject:
    params = call.params
    if "type" in params and "controller" in params:
        message = "You may not provide the `type` parameter and `controller` parameters simultaneously."
        raise invalid(message, param="type")
    body = blank(call.context, params)
    body["capabilities"] = {name: "inactive" for name, requested in _capabilities(params).items() if requested}
    return call.context.view(add(call.context, call.account, body, params))


def add(context: Context, owner: str, body: JsonObject, params: JsonObject, hidden: JsonObject | None = None) -> Record:
    """Store a new account, with its bank account if the parameters have one."""
    record = context.store.put(KIND, body["id"], owner=owner, body=body, hidden={"provided": []} | (hidden or {}))
    if params.get("external_account"):
        bank_accounts.add(context, record, params["external_account"])
    return onboarding.review(context, record, onboarding.provided_in(params))


def retrieve(call: Call) -> JsonObject:
    if call.path["account"] == call.account == PLATFORM:
        return platform() | {"country": platform_country(call.context)}
    return call.context.view(find(call))


def retrieve_current(call: Call) -> JsonObject:
    if call.account == PLATFORM:
        return platform() | {"country": platform_country(call.context)}
    return call.context.view(call.context.store.get(KIND, call.account))


def update(call: Call) -> JsonObject:
    record, params, context = find(call), call.params, call.context
    before = copied(record.body)
    record.body |= call.pick("email", "business_type")
    for name, is_requested in _capabilities(params).items():
        record.body["capabilities"].setdefault(name, "inactive")
        if not is_requested:
            del record.body["capabilities"][name]
    if interval := payout_interval(params):
        record.body["settings"]["payouts"]["schedule"]["interval"] = interval
    record.body["metadata"] = merged_metadata(before["metadata"], params.get("metadata"))
    if params.get("external_account"):
        bank_accounts.add(context, record, params["external_account"])
    context.store.save(record)
    return context.view(onboarding.provide(context, record, onboarding.provided_in(params), before))


def delete(call: Call) -> JsonObject:
    return {"id": remove(call).id, "object": KIND, "deleted": True}


def remove(call: Call) -> Record:
    """Raises StripeError: 400 for an account with a balance."""
    record = find(call)
    if any(amount for pair in call.context.ledger.balance(record.id).values() for amount in pair):
        raise invalid("This account can't be deleted: its balance is not zero.")
    call.context.store.remove(KIND, record.id)
    return record


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/accounts")


def list_capabilities(call: Call) -> JsonObject:
    account = find(call)
    data = [onboarding.capability(account, name) for name in account.body["capabilities"]]
    return list_of(f"/v1/accounts/{account.id}/capabilities", data)


def retrieve_capability(call: Call) -> JsonObject:
    account, name = find(call), call.path["capability"]
    if name not in account.body["capabilities"]:
        raise no_such("capability", name, "capability")
    return onboarding.capability(account, name)


def create_login_link(call: Call) -> JsonObject:
    """A link to the Express Dashboard. The sandbox has no such page, so the link is dead."""
    account = find(call)
    if account.body["controller"]["stripe_dashboard"]["type"] != "express":
        raise invalid("Cannot create a login link for an account that is not an Express Dashboard account.")
    if not account.body["details_submitted"]:
        raise invalid("Cannot create a login link for an account that has not completed onboarding.")
    url = f"{call.base_url}/express/{account.id}/{new_token(12)}"
    return {"object": "login_link", "created": call.context.now(), "url": url}


def find(call: Call) -> Record:
    record = call.context.store.find(KIND, call.path["account"])
    if record is None or record.owner != call.account:
        raise account_invalid(call.path["account"])
    return record


def require_transfers(context: Context, account: str, destination: str, param: str = "destination") -> str:
    """Check that the destination can receive transfers, and return its id.

    Raises:
        StripeError: 400 `resource_missing`, or `insufficient_capabilities_for_transfer` until the account's
            transfers are active.
    """
    record = context.store.find(KIND, destination)
    if record is None or record.owner != account:
        raise no_such("destination", destination, param, status=400)
    if record.body["capabilities"].get("transfers") != "active":
        message = (
            "Your destination account needs to have at least one of the following capabilities enabled: transfers, "
            "crypto_transfers, legacy_payments"
        )
        raise invalid(message, code="insufficient_capabilities_for_transfer", param=param)
    return destination


def view(context: Context, record: Record) -> JsonObject:
    return record.body | {"external_accounts": bank_accounts.included(context, record)}


def _capabilities(params: JsonObject) -> dict[str, bool]:
    """Whether each capability in the parameters is requested."""
    return {name: bool(options.get("requested")) for name, options in (params.get("capabilities") or {}).items()}
