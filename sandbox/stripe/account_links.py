"""Account links: single-use URLs of the onboarding page (API reference, "Account links")."""

from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import account_invalid
from sandbox.stripe.ids import new_token
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.store import Record

KIND = "account_link"
_VALID_SECONDS = 300


def create(call: Call) -> JsonObject:
    params = call.params
    return make(call, params["account"], params.get("refresh_url", ""), params.get("return_url", ""))


def make(call: Call, account_id: str, refresh_url: str, return_url: str) -> JsonObject:
    """Create a link for one visit, valid for a few minutes."""
    account = call.context.store.find("account", account_id)
    if account is None or account.owner != call.account:
        raise account_invalid(account_id)
    token = new_token(40)
    now = call.context.now()
    body: JsonObject = {
        "object": KIND,
        "created": now,
        "expires_at": now + _VALID_SECONDS,
        "url": f"{call.base_url}/setup/{account.id}/{token}",
    }
    hidden = {"account": account.id, "refresh_url": refresh_url, "return_url": return_url}
    call.context.store.put(KIND, token, owner=call.account, body=body, hidden=hidden)
    return body


def find(context: Context, account: str, token: str) -> Record | None:
    """The link of a URL, or None if it does not exist or has expired."""
    link = context.store.find(KIND, token)
    if link is None or link.hidden["account"] != account or link.body["expires_at"] <= context.now():
        return None
    return link
