"""Accounts v2 with a recipient configuration: v1's accounts in v2's representation.

`configuration.recipient.capabilities.stripe_balance.stripe_transfers` is v1's `transfers` capability. Fields that are
not in `include` are null. Source: API reference, "v2 Accounts" and "v2 Account Links".
"""

from sandbox.stripe import account_links, accounts
from sandbox.stripe.account_bodies import KIND, blank
from sandbox.stripe.context import Call
from sandbox.stripe.errors import invalid
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.store import Record
from sandbox.stripe.thin_events import account_closed, timestamp

_CLOSED = "v2.core.account.closed"
_INCLUDABLE = ("configuration.recipient", "defaults", "identity", "requirements")


def create(call: Call) -> JsonObject:
    params = call.params
    recipient = (params.get("configuration") or {}).get("recipient")
    if recipient is None:
        raise invalid("The sandbox models accounts with configuration.recipient only.", param="configuration")
    identity, defaults = params.get("identity") or {}, params.get("defaults") or {}
    responsibilities = defaults.get("responsibilities") or {}
    v1_params: JsonObject = {
        "country": (identity.get("country") or "us").upper(),
        "email": params.get("contact_email"),
        "metadata": params.get("metadata"),
        "controller": {
            "fees": {"payer": "application"},
            "losses": {"payments": responsibilities.get("losses_collector", "application")},
            "stripe_dashboard": {"type": params.get("dashboard", "none")},
        },
    }
    body = blank(call.context, v1_params)
    if _requests_transfers(recipient):
        body["capabilities"] = {"transfers": "inactive"}
    hidden = {
        "v2": {
            "contact_phone": params.get("contact_phone"),
            "dashboard": params.get("dashboard"),
            "display_name": params.get("display_name"),
            "entity_type": identity.get("entity_type"),
            "fees_collector": responsibilities.get("fees_collector", "application"),
            "losses_collector": responsibilities.get("losses_collector", "application"),
        }
    }
    record = accounts.add(call.context, call.account, body, v1_params, hidden)
    return view(record, params.get("include", []))


def retrieve(call: Call) -> JsonObject:
    """A closed account can still be retrieved (changelog, "Retrieving and listing closed v2 Accounts")."""
    closed = call.context.store.find(_CLOSED, call.path["account"])
    return closed.body if closed else view(accounts.find(call), call.params.get("include", []))


def close(call: Call) -> JsonObject:
    record = accounts.remove(call)
    body: JsonObject = {
        **view(record, []),
        "applied_configurations": [],
        "closed": True,
        "contact_email": None,
        "contact_phone": None,
        "dashboard": None,
        "display_name": None,
        "metadata": {},
    }
    account_closed(call.context, record)
    return call.context.store.put(_CLOSED, record.id, owner=record.owner, body=body).body


def update(call: Call) -> JsonObject:
    record, params = accounts.find(call), call.params
    details = _details(record)
    details |= call.pick("contact_phone", "dashboard", "display_name")
    record.hidden["v2"] = details
    if "contact_email" in params:
        record.body["email"] = params["contact_email"]
    record.body["metadata"] = merged_metadata(record.body["metadata"], params.get("metadata"))
    recipient = (params.get("configuration") or {}).get("recipient") or {}
    if _requests_transfers(recipient):
        active = record.body["details_submitted"]
        record.body["capabilities"].setdefault("transfers", "active" if active else "inactive")
    return view(call.context.store.save(record), params.get("include", []))


def list_all(call: Call) -> JsonObject:
    """All accounts, newest first, on a single page."""
    records = call.context.store.newest_first(KIND, lambda record: record.owner == call.account)
    return {"data": [view(record, []) for record in records], "next_page_url": None, "previous_page_url": None}


def create_link(call: Call) -> JsonObject:
    """Create an onboarding link, with the same page as v1's account links."""
    use_case = call.params["use_case"]
    options = use_case.get(use_case["type"])
    if options is None:
        raise invalid(
            f"Missing required param: use_case.{use_case['type']}.", code="parameter_missing", param="use_case"
        )
    v1 = account_links.make(call, call.params["account"], options["refresh_url"], options.get("return_url", ""))
    return {
        "object": "v2.core.account_link",
        "account": call.params["account"],
        "created": timestamp(v1["created"]),
        "expires_at": timestamp(v1["expires_at"]),
        "livemode": False,
        "url": v1["url"],
        "use_case": use_case,
    }


def view(record: Record, include: list[str]) -> JsonObject:
    """The account in v2's representation, with the included fields.

    Raises:
        StripeError: 400 for an `include` that is not modelled.
    """
    for name in include:
        if name not in _INCLUDABLE:
            raise invalid(f"The sandbox does not model include={name}.", param="include")
    body, details = record.body, _details(record)
    parts = {
        "configuration": {"recipient": _recipient(body)} if "configuration.recipient" in include else None,
        "defaults": _defaults(body, details) if "defaults" in include else None,
        "identity": _identity(body, details) if "identity" in include else None,
        "requirements": _requirements(body) if "requirements" in include else None,
    }
    return {
        "id": record.id,
        "object": "v2.core.account",
        "applied_configurations": _configurations(record),
        "closed": False,
        "contact_email": body["email"],
        "contact_phone": details["contact_phone"],
        "created": timestamp(body["created"]),
        "dashboard": details["dashboard"],
        "display_name": details["display_name"],
        "livemode": False,
        "metadata": body["metadata"],
    } | parts


def _configurations(record: Record) -> list[str]:
    """An account that was created in v1 has those of the capabilities that it requests."""
    capabilities = record.body["capabilities"]
    recipient = ["recipient"] if "v2" in record.hidden or "transfers" in capabilities else []
    return (["merchant"] if "card_payments" in capabilities else []) + recipient


def _recipient(body: JsonObject) -> JsonObject:
    v1_status = body["capabilities"].get("transfers")
    if v1_status is None:
        return {"applied": True, "capabilities": None}
    active = v1_status == "active"
    restricted = {"code": "requirements_past_due", "resolution": "provide_info"}
    status = {"status": "active" if active else "restricted", "status_details": [] if active else [restricted]}
    payouts: JsonObject = {
        "status": "active" if body["payouts_enabled"] else "restricted",
        "status_details": [] if body["payouts_enabled"] else [restricted],
    }
    return {
        "applied": True,
        "capabilities": {"stripe_balance": {"payouts": payouts, "stripe_transfers": status}},
    }


def _defaults(body: JsonObject, details: JsonObject) -> JsonObject:
    return {
        "currency": body["default_currency"],
        "locales": None,
        "profile": None,
        "responsibilities": {
            "fees_collector": details["fees_collector"],
            "losses_collector": details["losses_collector"],
            "requirements_collector": body["controller"]["requirement_collection"],
        },
    }


def _identity(body: JsonObject, details: JsonObject) -> JsonObject:
    return {"country": body["country"].lower(), "entity_type": details["entity_type"]}


def _requirements(body: JsonObject) -> JsonObject:
    due = body["requirements"]["currently_due"]
    entries = [
        {
            "awaiting_action_from": "user",
            "description": item,
            "errors": [],
            "impact": {"restricts_capabilities": []},
            "minimum_deadline": {"status": "currently_due"},
            "reference": None,
            "requested_reasons": [{"code": "routine_onboarding"}],
        }
        for item in due
    ]
    summary = {"minimum_deadline": {"status": "currently_due", "time": None}} if due else None
    return {"entries": entries, "summary": summary}


def _details(record: Record) -> JsonObject:
    """The fields that only v2 has. An account that was created in v1 has Stripe's defaults."""
    defaults: JsonObject = {
        "contact_phone": None,
        "dashboard": None,
        "display_name": None,
        "entity_type": None,
        "fees_collector": "application",
        "losses_collector": "application",
    }
    stored: JsonObject = record.hidden.get("v2", {})
    return defaults | stored


def _requests_transfers(recipient: JsonObject) -> bool:
    balance = (recipient.get("capabilities") or {}).get("stripe_balance") or {}
    return bool((balance.get("stripe_transfers") or {}).get("requested"))
