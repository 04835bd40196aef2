"""The requirements of a connected account, and the capabilities that they enable.

Sources: docs "Account capabilities", "Required verification information". Stripe's requirements depend on country and
business type. The sandbox has only a few, which gate transfers and payouts.
"""

from sandbox.stripe import bank_accounts, thin_events
from sandbox.stripe.account_bodies import KIND, NO_REQUIREMENTS
from sandbox.stripe.context import Context
from sandbox.stripe.json_values import JsonObject, copied
from sandbox.stripe.store import Record

EXTERNAL_ACCOUNT = "external_account"
REQUIRED = (EXTERNAL_ACCOUNT, "individual.first_name", "individual.last_name", "tos_acceptance.date")


def provided_in(params: JsonObject) -> list[str]:
    """The requirements that the parameters of a request fulfil."""
    individual = params.get("individual") or {}
    provided = [f"individual.{name}" for name in ("first_name", "last_name") if individual.get(name)]
    if params.get("external_account"):
        provided.append(EXTERNAL_ACCOUNT)
    if (params.get("tos_acceptance") or {}).get("date"):
        provided.append("tos_acceptance.date")
    return provided


def review(context: Context, account: Record, provided: list[str]) -> Record:
    """Record what was provided. Once no requirement is due, capabilities and payouts become active."""
    all_provided = sorted(set(account.hidden["provided"]) | set(provided))
    account.hidden["provided"] = all_provided
    due = [item for item in REQUIRED if item not in all_provided]
    body = account.body
    body |= {
        "capabilities": {name: "inactive" if due else "active" for name in body["capabilities"]},
        "charges_enabled": not due and "card_payments" in body["capabilities"],
        "details_submitted": not due,
        "payouts_enabled": not due,
        "requirements": _requirements(due),
    }
    if "tos_acceptance.date" in all_provided and body["tos_acceptance"]["date"] is None:
        body["tos_acceptance"]["date"] = context.now()
    if EXTERNAL_ACCOUNT in all_provided and not bank_accounts.of(context, account.id):
        bank_accounts.add(context, account, {})
    return context.store.save(account)


def provide(context: Context, account: Record, provided: list[str], earlier: JsonObject | None = None) -> Record:
    """Review the account and emit events about the changes, in thin events those since `earlier`."""
    before = copied(account.body)
    account = review(context, account, provided)
    changed = {name: before[name] for name in before if account.body[name] != before[name]}
    context.events.emit(account.id, "account.updated", context.view(account), changed)
    for name, status in account.body["capabilities"].items():
        if status != before["capabilities"].get(name):
            context.events.emit(account.id, "capability.updated", capability(account, name), {})
    thin_events.account_changed(context, account, earlier or before)
    return account


def complete(context: Context, id: str) -> Record:
    """Provide all requirements, as the onboarding page does."""
    return provide(context, context.store.get(KIND, id), list(REQUIRED))


def stop_payouts(context: Context, id: str) -> None:
    """Disable payouts after a failed one, until another bank account is provided (docs "Payouts")."""
    account = context.store.find(KIND, id)
    if account is None:
        return
    before = copied(account.body)
    account.hidden["provided"] = [item for item in account.hidden["provided"] if item != EXTERNAL_ACCOUNT]
    account.body |= {"payouts_enabled": False, "requirements": _requirements([EXTERNAL_ACCOUNT])}
    context.store.save(account)
    context.events.emit(account.id, "account.updated", context.view(account), {"payouts_enabled": True})
    thin_events.account_changed(context, account, before)


def capability(account: Record, name: str) -> JsonObject:
    due = account.body["requirements"]["currently_due"]
    return {
        "id": name,
        "object": "capability",
        "account": account.id,
        "future_requirements": copied(NO_REQUIREMENTS),
        "requested": True,
        "requested_at": account.body["created"],
        "requirements": copied(NO_REQUIREMENTS) | {"currently_due": due},
        "status": account.body["capabilities"][name],
    }


def _requirements(due: list[str]) -> JsonObject:
    none: JsonObject = copied(NO_REQUIREMENTS)
    return none | {
        "currently_due": due,
        "disabled_reason": "requirements.past_due" if due else None,
        "eventually_due": due,
        "past_due": due,
    }
