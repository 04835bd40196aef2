"""Paginated lists: newest first, with ids as cursors (API reference, "Pagination")."""

from collections.abc import Callable
from typing import Any

from sandbox.stripe.context import Call
from sandbox.stripe.errors import invalid, no_such
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.store import Record

_DEFAULT_LIMIT = 10
_MAXIMUM_LIMIT = 100
_ALWAYS_MODELLED = {"created", "ending_before", "expand", "limit", "starting_after"}


def list_of(url: str, data: list[JsonObject], has_more: bool = False) -> JsonObject:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def listed(
    call: Call,
    kind: str,
    url: str,
    *filters: str,
    keep: Callable[[Record], bool] = lambda _: True,
    keep_params: tuple[str, ...] = (),
) -> JsonObject:
    """A page of the account's objects of a kind.

    `filters` are parameters that, if sent, must equal the field of the same name. `keep_params` are those that
    `keep` evaluates.

    Raises:
        StripeError: 400 for a filter that is not modelled, since ignoring it would return too many objects.
    """
    call.reject_unmodelled(*sorted(call.params.keys() - _ALWAYS_MODELLED - {*filters, *keep_params}))
    values = call.pick(*filters)

    def matches(record: Record) -> bool:
        return (
            record.owner == call.account
            and all(record.body.get(name) == value for name, value in values.items())
            and _created_within(record.body.get("created", 0), call.params.get("created"))
            and keep(record)
        )

    return page(call, call.context.store.newest_first(kind, matches), url, kind)


def page(call: Call, records: list[Record], url: str, kind: str) -> JsonObject:
    limit = call.params.get("limit", _DEFAULT_LIMIT)
    if not 1 <= limit <= _MAXIMUM_LIMIT:
        raise invalid(f"Invalid integer: limit must be between 1 and {_MAXIMUM_LIMIT}", param="limit")
    if "ending_before" in call.params:
        end = _position(records, call.params["ending_before"], kind, "ending_before")
        chosen = records[max(0, end - limit) : end]
        has_more = end > limit
    else:
        start = 0
        if "starting_after" in call.params:
            start = _position(records, call.params["starting_after"], kind, "starting_after") + 1
        chosen = records[start : start + limit]
        has_more = len(records) > start + limit
    return list_of(url, [call.context.view(record) for record in chosen], has_more)


def _position(records: list[Record], id: str, kind: str, param: str) -> int:
    for index, record in enumerate(records):
        if record.id == id:
            return index
    raise no_such(kind, id, param, status=400)


def _created_within(created: int, condition: Any) -> bool:
    if condition is None:
        return True
    if isinstance(condition, int):
        return created == condition
    return (
        created > condition.get("gt", -1)
        and created >= condition.get("gte", 0)
        and ("lt" not in condition or created < condition["lt"])
        and ("lte" not in condition or created <= condition["lte"])
    )
