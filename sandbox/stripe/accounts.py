"""Connected accounts (v1, with `controller` properties) and whether they can take transfers.

Sources: API reference, "Accounts"; docs "Account capabilities" and "Required verification information".
"""

from sandbox.stripe.errors import account_invalid, invalid, no_such
from sandbox.stripe.ids import PLATFORM, new_id
from sandbox.stripe.json_values import JsonObject, copied, merged_metadata
from sandbox.stripe.lists import list_of, listed
from sandbox.stripe.store import Record
from sandbox.stripe.world import Call, World

KIND = "account"

# What onboarding asks for. Stripe's own lists depend on country and business; this is the part that gates.
ASKED_FOR = ("external_account", "individual.first_name", "individual.last_name", "tos_acceptance.date")

_NO_REQUIREMENTS: JsonObject = {
    "alternatives": [],
    "current_deadline": None,
    "currently_due": [],
    "disabled_reason": None,
    "errors": [],
    "eventually_due": [],
    "past_due": [],
    "pending_verification": [],
}


def create(call: Call) -> JsonObject:
    params = call.params
    if "type" in params and "controller" in params:
        raise invalid(
            "You may not provide the `type` parameter and `controller` parameters simultaneously.", param="type"
        )
    body = _blank(call)
    body["capabilities"] = {name: "inactive" for name, wish in _wishes(params).items() if wish}
    record = call.world.store.put(KIND, body["id"], owner=call.account, body=body, hidden={"provided": []})
    record = call.world.store.save(review(call.world, record, _provided(params)))
    return call.world.view(record)


def retrieve(call: Call) -> JsonObject:
    return call.world.view(_own(call))


def retrieve_current(call: Call) -> JsonObject:
    if call.account == PLATFORM:
        return _platform(call.world)
    return call.world.view(call.world.store.get(KIND, call.account))


def update(call: Call) -> JsonObject:
    record, params = _own(call), call.params
    before = copied(record.body)
    record.body |= call.given("email", "business_type")
    for name, wish in _wishes(params).items():
        record.body["capabilities"].setdefault(name, "inactive")
        if not wish:
            del record.body["capabilities"][name]
    record.body["metadata"] = merged_metadata(record.body["metadata"], params.get("metadata"))
    record = call.world.store.save(review(call.world, record, _provided(params)))
    changed = {name: before[name] for name in before if record.body[name] != before[name]}
    call.world.events.emit(record.id, "account.updated", call.world.view(record), changed)
    return call.world.view(record)


def delete(call: Call) -> JsonObject:
    record = _own(call)
    if any(amount for pair in call.world.books.balance(record.id).values() for amount in pair):
        raise invalid("This account can't be deleted: its balance is not zero.")
    call.world.store.remove(KIND, record.id)
    return {"id": record.id, "object": KIND, "deleted": True}


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/accounts")


def require_transfers(world: World, account: str, destination: str, param: str = "destination") -> str:
    """The destination's id.

    Raises:
        StripeError: 400 `resource_missing`, or `insufficient_capabilities_for_transfer` until the account's
            transfers are active.
    """
    record = world.store.find(KIND, destination)
    if record is None or record.owner != account:
        raise no_such("destination", destination, param, status=400)
    if record.body["capabilities"].get("transfers") != "active":
        message = (
            "Your destination account needs to have at least one of the following capabilities enabled: transfers, "
            "crypto_transfers, legacy_payments"
        )
        raise invalid(message, code="insufficient_capabilities_for_transfer", param=param)
    return destination


def complete_onboarding(world: World, id: str) -> Record:
    """All that was asked for has been provided, as by a person who filled in the onboarding page."""
    record = world.store.save(review(world, world.store.get(KIND, id), list(ASKED_FOR)))
    world.events.emit(record.id, "account.updated", world.view(record), {})
    for name, status in record.body["capabilities"].items():
        world.events.emit(record.id, "capability.updated", capability(record, name, status), {})
    return record


def capability(record: Record, name: str, status: str) -> JsonObject:
    due = record.body["requirements"]["currently_due"]
    return {
        "id": name,
        "object": "capability",
        "account": record.id,
        "future_requirements": copied(_NO_REQUIREMENTS),
        "requested": True,
        "requested_at": record.body["created"],
        "requirements": copied(_NO_REQUIREMENTS) | {"currently_due": due},
        "status": status,
    }


def review(world: World, record: Record, provided: list[str]) -> Record:
    """Take in what was provided; when nothing is due any more, capabilities and payouts go active."""
    known = sorted(set(record.hidden["provided"]) | set(provided))
    record.hidden["provided"] = known
    due = [item for item in ASKED_FOR if item not in known]
    active = not due
    record.body |= {
        "capabilities": {name: "active" if active else "inactive" for name in record.body["capabilities"]},
        "charges_enabled": active and "card_payments" in record.body["capabilities"],
        "details_submitted": active,
        "payouts_enabled": active,
        "requirements": copied(_NO_REQUIREMENTS)
        | {
            "currently_due": due,
            "disabled_reason": "requirements.past_due" if due else None,
            "eventually_due": due,
            "past_due": due,
        },
    }
    if "tos_acceptance.date" in known and record.body["tos_acceptance"].get("date") is None:
        record.body["tos_acceptance"]["date"] = world.now()
    if "external_account" in known and not record.body["external_accounts"]["data"]:
        bank = bank_account(record)
        url = record.body["external_accounts"]["url"]
        record.body["external_accounts"] = list_of(url, [bank])
        world.store.put("bank_account", bank["id"], owner=record.id, body=bank)
    return record


def bank_account(account: Record) -> JsonObject:
    """Stripe's test bank account. Its last digits tell what its payouts do (docs "Testing Connect")."""
    return {
        "id": new_id("ba"),
        "object": "bank_account",
        "account": account.id,
        "account_holder_name": None,
        "account_holder_type": "individual",
        "account_type": None,
        "available_payout_methods": ["standard"],
        "bank_name": "STRIPE TEST BANK",
        "country": account.body["country"],
        "currency": account.body["default_currency"],
        "default_for_currency": True,
        "fingerprint": "SandboxBank00001",
        "future_requirements": {"currently_due": [], "errors": [], "past_due": [], "pending_verification": []},
        "last4": "6789",
        "metadata": {},
        "requirements": {"currently_due": [], "errors": [], "past_due": [], "pending_verification": []},
        "routing_number": "110000000",
        "status": "new",
    }


def _own(call: Call) -> Record:
    record = call.world.store.find(KIND, call.path["account"])
    if record is None or record.owner != call.account:
        raise account_invalid(call.path["account"])
    return record


def _wishes(params: JsonObject) -> dict[str, bool]:
    return {name: bool(wish.get("requested")) for name, wish in (params.get("capabilities") or {}).items()}


def _provided(params: JsonObject) -> list[str]:
    individual = params.get("individual") or {}
    provided = [f"individual.{name}" for name in ("first_name", "last_name") if individual.get(name)]
    if params.get("external_account"):
        provided.append("external_account")
    if (params.get("tos_acceptance") or {}).get("date"):
        provided.append("tos_acceptance.date")
    return provided


def _blank(call: Call) -> JsonObject:
    params = call.params
    id = new_id("acct", 16).replace("acct_", "acct_1")
    country = params.get("country", "US")
    return {
        "id": id,
        "object": KIND,
        "business_profile": _business_profile(params.get("business_profile") or {}),
        "business_type": params.get("business_type"),
        "capabilities": {},
        "charges_enabled": False,
        "controller": _controller(params.get("controller") or {}),
        "country": country,
        "created": call.world.now(),
        "default_currency": params.get("default_currency", "usd" if country == "US" else "eur"),
        "details_submitted": False,
        "email": params.get("email"),
        "external_accounts": list_of(f"/v1/accounts/{id}/external_accounts", []),
        "future_requirements": copied(_NO_REQUIREMENTS),
        "metadata": merged_metadata(None, params.get("metadata")),
        "payouts_enabled": False,
        "requirements": copied(_NO_REQUIREMENTS),
        "settings": _settings(),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": params.get("type", "none"),
    }


def _controller(given: JsonObject) -> JsonObject:
    """Who pays fees, bears losses and collects requirements; the defaults are Stripe's."""
    return {
        "fees": {"payer": given.get("fees", {}).get("payer", "account")},
        "is_controller": True,
        "losses": {"payments": given.get("losses", {}).get("payments", "stripe")},
        "requirement_collection": given.get("requirement_collection", "stripe"),
        "stripe_dashboard": {"type": given.get("stripe_dashboard", {}).get("type", "full")},
        "type": "application",
    }


def _business_profile(given: JsonObject) -> JsonObject:
    blank: JsonObject = {
        "annual_revenue": None,
        "estimated_worker_count": None,
        "mcc": None,
        "minority_owned_business_designation": None,
        "name": None,
        "product_description": None,
        "support_address": None,
        "support_email": None,
        "support_phone": None,
        "support_url": None,
        "url": None,
    }
    return blank | {name: value for name, value in given.items() if name in blank}


def _settings() -> JsonObject:
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": None, "timezone": "Etc/UTC"},
        "payments": {
            "statement_descriptor": None,
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
        },
        "payouts": {
            "debit_negative_balances": True,
            "schedule": {"delay_days": 2, "interval": "daily"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }


def _platform(world: World) -> JsonObject:
    return {
        "id": PLATFORM,
        "object": KIND,
        "business_profile": _business_profile({"name": "Sandbox platform"}),
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "payouts_enabled": True,
        "settings": _settings(),
        "type": "standard",
    }
