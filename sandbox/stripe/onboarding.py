"""What Stripe asks of a connected account, and what becomes active once it is given.

Sources: docs "Account capabilities", "Required verification information". Stripe's own lists depend on country and
business; the few that are asked here are those that gate transfers and payouts.
"""

from sandbox.stripe import bank_accounts
from sandbox.stripe.account_bodies import KIND, NO_REQUIREMENTS
from sandbox.stripe.context import Context
from sandbox.stripe.json_values import JsonObject, copied
from sandbox.stripe.store import Record

EXTERNAL_ACCOUNT = "external_account"
ASKED_FOR = (EXTERNAL_ACCOUNT, "individual.first_name", "individual.last_name", "tos_acceptance.date")


def given_in(params: JsonObject) -> list[str]:
    """Which of the things asked for a request gives."""
    individual = params.get("individual") or {}
    given = [f"individual.{name}" for name in ("first_name", "last_name") if individual.get(name)]
    if params.get("external_account"):
        given.append(EXTERNAL_ACCOUNT)
    if (params.get("tos_acceptance") or {}).get("date"):
        given.append("tos_acceptance.date")
    return given


def review(context: Context, account: Record, given: list[str]) -> Record:
    """Take in what was given; when nothing is due any more, capabilities and payouts are active."""
    known = sorted(set(account.hidden["given"]) | set(given))
    account.hidden["given"] = known
    due = [item for item in ASKED_FOR if item not in known]
    body = account.body
    body |= {
        "capabilities": {name: "inactive" if due else "active" for name in body["capabilities"]},
        "charges_enabled": not due and "card_payments" in body["capabilities"],
        "details_submitted": not due,
        "payouts_enabled": not due,
        "requirements": _requirements(due),
    }
    if "tos_acceptance.date" in known and body["tos_acceptance"]["date"] is None:
        body["tos_acceptance"]["date"] = context.now()
    if EXTERNAL_ACCOUNT in known and not bank_accounts.of(context, account.id):
        bank_accounts.add(context, account, {})
    return context.store.save(account)


def provide(context: Context, account: Record, given: list[str]) -> Record:
    """Review, and tell the platform what has changed."""
    before = copied(account.body)
    account = review(context, account, given)
    changed = {name: before[name] for name in before if account.body[name] != before[name]}
    context.events.emit(account.id, "account.updated", context.view(account), changed)
    for name, status in account.body["capabilities"].items():
        if status != before["capabilities"].get(name):
            context.events.emit(account.id, "capability.updated", capability(account, name), {})
    return account


def complete(context: Context, id: str) -> Record:
    """All that was asked for is given, as by a person who filled in the onboarding page."""
    return provide(context, context.store.get(KIND, id), list(ASKED_FOR))


def stop_payouts(context: Context, id: str) -> None:
    """A payout came back: no more of them until another bank account is given (docs "Payouts")."""
    account = context.store.find(KIND, id)
    if account is None:
        return
    account.hidden["given"] = [item for item in account.hidden["given"] if item != EXTERNAL_ACCOUNT]
    account.body |= {"payouts_enabled": False, "requirements": _requirements([EXTERNAL_ACCOUNT])}
    context.store.save(account)
    context.events.emit(account.id, "account.updated", context.view(account), {"payouts_enabled": True})


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
