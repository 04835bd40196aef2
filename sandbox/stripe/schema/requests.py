"""Validates request parameters against their shape and converts form strings to typed values."""

import re
from typing import Any

from sandbox.stripe.errors import StripeError, invalid
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.schema.shapes import Choice, Either, Field, Listing, Mapping, Page, Scalar, Shape, Structure

_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+$")
_INTEGER = re.compile(r"^-?\d+$")
_RENAMED = {"payment_method_types": "allowed_payment_method_types"}
"""Older API versions have other names for these parameters."""
# Older SDKs send Python's spelling.
_BOOLEANS = {"true": True, "false": False, "True": True, "False": False}


def coerced(shape: Structure, raw: JsonObject) -> JsonObject:
    """The parameters as typed values.

    Raises:
        StripeError: 400 with `param` and a code such as `parameter_unknown`, `parameter_missing` or
            `parameter_invalid_integer` (docs "Error codes"). The operation has not begun.
    """
    try:
        return _structure(shape, raw, "")
    except StripeError as error:
        raise error.not_begun() from None


def in_pinned_names(shape: Structure, raw: JsonObject) -> JsonObject:
    """Parameters of an older API version, under the names that they have in the pinned one."""
    return {
        _RENAMED[name] if name not in shape.fields and _RENAMED.get(name) in shape.fields else name: value
        for name, value in raw.items()
    }


def check_emails(params: JsonObject, path: str = "") -> None:
    """Raises StripeError, with `email_invalid`, for a parameter that should be an email address and is none."""
    for name, value in params.items():
        inside = _inside(path, name)
        if isinstance(value, dict):
            check_emails(value, inside)
        elif name.endswith("email") and isinstance(value, str) and value and not _EMAIL.match(value):
            raise invalid(f"Invalid email address: {value}", code="email_invalid", param=inside).not_begun()


def _value(shape: Shape, raw: Any, path: str) -> Any:
    match shape:
        case Either():
            return _either(shape, raw, path)
        case Structure():
            return _structure(shape, raw, path)
        case Listing():
            return _listing(shape, raw, path)
        case Mapping():
            if not isinstance(raw, dict):
                raise invalid(f"Invalid object: {path} must be a hash", param=path)
            return {key: _value(shape.value, item, f"{path}[{key}]") for key, item in raw.items()}
        case Choice():
            return _choice(shape, raw, path)
        case Scalar():
            return _scalar(shape, raw, path)
        case Page():
            raise TypeError(f"{path}: no request takes a list object")


def _structure(shape: Structure, raw: Any, path: str) -> JsonObject:
    if not isinstance(raw, dict):
        raise invalid(f"Invalid object: {path} must be a hash", param=path)
    unknown = [_inside(path, name) for name in raw if name not in shape.fields]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        message = f"Received unknown parameter{plural}: {', '.join(unknown)}"
        raise invalid(message, code="parameter_unknown", param=unknown[0])
    for name, field in shape.fields.items():
        if field.required and name not in raw:
            _raise_missing(_inside(path, name), field)
    return {name: _value(shape.fields[name].shape, item, _inside(path, name)) for name, item in raw.items()}


def _raise_missing(path: str, field: Field) -> None:
    raise invalid(f"Missing required param: {path}.", code="parameter_missing", param=path)


def _inside(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


def _either(shape: Either, raw: Any, path: str) -> Any:
    """The value of the first option that matches. Otherwise raises the error of the option with the value's form."""
    errors: list[StripeError] = []
    for option in sorted(shape.options, key=lambda option: not _has_form_of(option, raw)):
        try:
            return _value(option, raw, path)
        except StripeError as error:
            errors.append(error)
    raise errors[0]


def _has_form_of(option: Shape, raw: Any) -> bool:
    if raw == "":
        return option == Choice(("",))
    if isinstance(raw, dict):
        return isinstance(option, Structure | Mapping | Listing)
    if isinstance(raw, list):
        return isinstance(option, Listing)
    return isinstance(option, Scalar | Choice) and option != Choice(("",))


def _listing(shape: Listing, raw: Any, path: str) -> list[Any]:
    if isinstance(raw, list):
        items = raw
    elif isinstance(raw, dict) and all(key.isdigit() for key in raw):
        items = [raw[key] for key in sorted(raw, key=int)]
    else:
        raise invalid(f"Invalid array: {path} must be an array", param=path)
    return [_value(shape.item, item, f"{path}[{index}]") for index, item in enumerate(items)]


def _choice(shape: Choice, raw: Any, path: str) -> Any:
    for value in shape.values:
        if raw == value or (isinstance(value, bool) and raw == str(value).lower()):
            return value
    *others, last = [str(value) for value in shape.values]
    allowed = f"{', '.join(others)}{',' if len(others) > 1 else ''} or {last}" if others else last
    raise invalid(
        f"Invalid {path}: must be one of {allowed}" if others else f"Invalid {path}: must be {last}", param=path
    )


def _scalar(shape: Scalar, raw: Any, path: str) -> Any:
    if shape.kind == "anything":
        return raw
    if isinstance(raw, dict | list) or raw is None:
        kind = {"integer": "integer", "boolean": "boolean", "number": "decimal"}.get(shape.kind, "string")
        raise invalid(f"Invalid {kind}: {path}", param=path)
    if shape.kind == "text":
        if not isinstance(raw, str):
            raise invalid(f"Invalid string: {raw}", param=path)
        return raw
    if raw == "":
        message = (
            f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a "
            f"parameter; however '{path}' cannot be unset. You should remove '{path}' from your request or "
            "supply a non-empty value."
        )
        raise invalid(message, code="parameter_invalid_empty", param=path)
    if shape.kind == "integer":
        return _integer(raw, path)
    if shape.kind == "boolean":
        if isinstance(raw, bool):
            return raw
        if raw not in _BOOLEANS:
            raise invalid(f"Invalid boolean: {raw}", param=path)
        return _BOOLEANS[raw]
    return raw


def _integer(raw: Any, path: str) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if not isinstance(raw, str) or not _INTEGER.match(raw):
        raise invalid(f"Invalid integer: {raw}", code="parameter_invalid_integer", param=path)
    return int(raw)
