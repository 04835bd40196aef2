"""Pins the shapes that the sandbox was built on, to show what changes with a newer stripe-python.

After you have reviewed and handled the differences, `python -m sandbox.stripe.schema.pin` rewrites `pinned.txt`.
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from sandbox.stripe import routes
from sandbox.stripe.schema.derive import API_VERSION, object_shape, request_shape
from sandbox.stripe.schema.shapes import Choice, Either, Listing, Mapping, Page, Scalar, Shape, Structure

PINNED = Path(__file__).parent / "pinned.txt"

_MAX_ENUM_VALUES = 12

# The kinds of object that the sandbox returns.
RETURNED = (
    "account",
    "account_link",
    "application_fee",
    "balance",
    "balance_transaction",
    "bank_account",
    "capability",
    "charge",
    "checkout.session",
    "customer",
    "dispute",
    "event",
    "fee_refund",
    "item",
    "login_link",
    "payment_intent",
    "payment_method",
    "payout",
    "price",
    "radar.early_fraud_warning",
    "refund",
    "transfer",
    "transfer_reversal",
    "v2.core.account",
    "v2.core.account_link",
    "v2.core.event",
    "v2.core.event_destination",
    "webhook_endpoint",
)


def described() -> list[str]:
    """The API version, then one line for each field of each request and response."""
    lines: set[str] = set()
    for route in routes.ROUTES:
        shape = request_shape(route.params)
        lines.update(_fields(shape.name, shape))
    for name in RETURNED:
        resource = object_shape(name)
        assert resource is not None, name
        lines.update(_fields(name, resource))
    return [f"version {API_VERSION}", *sorted(lines)]


def pinned() -> list[str]:
    return PINNED.read_text(encoding="utf-8").splitlines()


def differences(pinned: list[str]) -> list[str]:
    """The changes since the pin, as lines with `-` for removed and `+` for added fields."""
    current = described()
    removed = [f"- {line}" for line in sorted(set(pinned) - set(current))]
    return removed + [f"+ {line}" for line in sorted(set(current) - set(pinned))]


def _fields(name: str, shape: Structure) -> Iterator[str]:
    """The fields of an object, with nested objects by name only.

    Nested objects change often where nothing is modelled, and every request and response is validated in full anyway.
    """
    for field_name, field in shape.fields.items():
        yield f"{name}.{field_name}{'' if field.required else '?'} {_text(field.shape)}"


def _text(shape: Shape) -> str:
    match shape:
        case Scalar():
            return shape.kind
        case Choice():
            return _choice_text(shape)
        case Listing():
            return f"[{_text(shape.item)}]"
        case Mapping():
            return f"map of {_text(shape.value)}"
        case Page():
            return f"page of {_text(shape.item)}"
        case Either():
            return " or ".join(sorted(_text(option) for option in shape.options))
        case Structure():
            return shape.name


def _choice_text(choice: Choice) -> str:
    """The values, or for a long enum their number and a digest, to keep the file readable."""
    text = "/".join(str(value) or "''" for value in choice.values)
    if len(choice.values) <= _MAX_ENUM_VALUES:
        return text
    return f"one of {len(choice.values)} values ({hashlib.sha256(text.encode()).hexdigest()[:8]})"


if __name__ == "__main__":
    PINNED.write_text("\n".join(described()) + "\n", encoding="utf-8")
    sys.exit(0)
