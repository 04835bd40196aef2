"""Validates responses against their shape: the sandbox must return only what Stripe could return."""

from typing import Any

from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.schema.derive import object_shape
from sandbox.stripe.schema.shapes import Choice, Either, Listing, Mapping, Page, Scalar, Shape, Structure

_PAGE_FIELDS = frozenset({"object", "data", "has_more", "url"})
_ERROR_FIELDS = {
    "advice_code": str,
    "charge": str,
    "code": str,
    "decline_code": str,
    "doc_url": str,
    "message": str,
    "network_advice_code": str,
    "network_decline_code": str,
    "param": str,
    "request_log_url": str,
    "type": str,
    "payment_intent": dict,
    "payment_method": dict,
}
_SCALAR_TYPES: dict[str, set[type]] = {
    "integer": {int},
    "number": {int, float},
    "boolean": {bool},
    "text": {str},
    "null": {type(None)},
}
_ERROR_TYPES = frozenset({"api_error", "card_error", "idempotency_error", "invalid_request_error"})


def response_problems(response: JsonObject) -> list[str]:
    """The problems of an API response, each with its path. Empty for a valid response."""
    if "error" in response:
        return _error(response["error"])
    if response.get("object") == "list" or ("data" in response and "object" not in response):
        return [problem for index, item in enumerate(response["data"]) for problem in _object(item, f"data[{index}]")]
    return _object(response, "")


def event_problems(event: JsonObject) -> list[str]:
    """The problems of an event and of the object in it."""
    return _object(event, "") + _object(event["data"]["object"], "data.object")


def _object(value: JsonObject, path: str) -> list[str]:
    """Validate an object by its `object` field."""
    if value.get("deleted") is True:
        return _deleted(value, path)
    name = str(value.get("object"))
    if name == "v2.core.event":
        # In the SDK, each type of event has a class of its own with this field.
        value = {field: item for field, item in value.items() if field != "related_object"}
    shape = object_shape(name)
    return [f"{path}: unknown kind of object {name!r}"] if shape is None else _value(shape, value, path or name)


def _deleted(value: JsonObject, path: str) -> list[str]:
    extra = value.keys() - {"id", "object", "deleted"}
    return [f"{path}: a deleted object has no {', '.join(sorted(extra))}"] if extra else []


def _error(error: Any) -> list[str]:
    if not isinstance(error, dict):
        return ["error: not an object"]
    found = [f"error.{name}: not a field of Stripe's" for name in error if name not in _ERROR_FIELDS]
    for name, kind in _ERROR_FIELDS.items():
        if name in error and not isinstance(error[name], kind):
            found.append(f"error.{name}: {kind.__name__} expected, not {error[name]!r}")
    if error.get("type") not in _ERROR_TYPES:
        found.append(f"error.type: {error.get('type')!r} is no type of error")
    if "message" not in error:
        found.append("error.message: missing")
    for name in ("payment_intent", "payment_method"):
        if isinstance(error.get(name), dict):
            found += _object(error[name], f"error.{name}")
    return found


def _value(shape: Shape, value: Any, path: str) -> list[str]:
    match shape:
        case Scalar():
            return _scalar(shape, value, path)
        case Choice():
            return [] if value in shape.values else [f"{path}: {value!r} is none of {_first_values(shape)}"]
        case Listing():
            return _listing(shape, value, path)
        case Mapping():
            if not isinstance(value, dict):
                return [f"{path}: object expected, not {value!r}"]
            return [problem for key, item in value.items() for problem in _value(shape.value, item, f"{path}.{key}")]
        case Page():
            return _page(shape, value, path)
        case Structure():
            return _structure(shape, value, path)
        case Either():
            return _either(shape, value, path)


def _first_values(choice: Choice) -> str:
    shown = ", ".join(repr(value) for value in choice.values[:6])
    return f"{shown} and {len(choice.values) - 6} more" if len(choice.values) > 6 else shown


def _scalar(shape: Scalar, value: Any, path: str) -> list[str]:
    if shape.kind == "anything" or type(value) in _SCALAR_TYPES[shape.kind]:
        return []
    return [f"{path}: {shape.kind} expected, not {value!r}"]


def _listing(shape: Listing, value: Any, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: list expected, not {value!r}"]
    return [problem for index, item in enumerate(value) for problem in _value(shape.item, item, f"{path}[{index}]")]


def _page(shape: Page, value: Any, path: str) -> list[str]:
    if not isinstance(value, dict) or value.get("object") != "list":
        return [f"{path}: list object expected, not {value!r}"]
    found = [f"{path}.{name}: not a field of a list" for name in value.keys() - _PAGE_FIELDS - {"total_count"}]
    found += [f"{path}.{name}: missing" for name in _PAGE_FIELDS - value.keys()]
    return found + _listing(Listing(shape.item), value.get("data"), f"{path}.data")


def _structure(shape: Structure, value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: object expected, not {value!r}"]
    found = [f"{path}.{name}: not a field of {shape.name}" for name in value if name not in shape.fields]
    for name, field in shape.fields.items():
        if name in value:
            found += _value(field.shape, value[name], f"{path}.{name}")
        elif field.required:
            found.append(f"{path}.{name}: missing")
    return found


def _either(shape: Either, value: Any, path: str) -> list[str]:
    """The problems with the best matching option. Empty if one option matches."""
    if isinstance(value, dict) and value.get("deleted") is True:
        return _deleted(value, path)
    attempts = [_value(option, value, path) for option in shape.options if _could_match(option, value)]
    if not attempts:
        return [f"{path}: {value!r} is nothing that can stand here"]
    return min(attempts, key=len)


def _could_match(option: Shape, value: Any) -> bool:
    """Whether the option has the value's JSON type, and for API objects its `object`."""
    if isinstance(option, Structure):
        if not isinstance(value, dict):
            return False
        named = option.fields.get("object")
        return named is None or not isinstance(named.shape, Choice) or value.get("object") in named.shape.values
    if isinstance(option, Mapping | Page):
        return isinstance(value, dict)
    if isinstance(option, Listing):
        return isinstance(value, list)
    return not isinstance(value, dict | list) or option == Scalar("anything")
