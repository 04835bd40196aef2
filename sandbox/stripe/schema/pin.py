"""What of Stripe's shapes the sandbox was built on: a file that a newer stripe-python is compared with.

`python -m sandbox.stripe.schema.pin` writes `pinned.txt` anew, after the differences have been read and dealt with.
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from sandbox.stripe import routes
from sandbox.stripe.schema.derive import API_VERSION, object_shape, request_shape
from sandbox.stripe.schema.shapes import Choice, Either, Listing, Mapping, Page, Scalar, Shape, Structure

PINNED = Path(__file__).parent / "pinned.txt"

_LONGEST_ENUM = 12

# The kinds of object that the sandbox answers with.
ANSWERED = (
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
    "refund",
    "transfer",
    "transfer_reversal",
    "v2.core.account",
    "v2.core.account_link",
    "webhook_endpoint",
)


def described() -> list[str]:
    """The version, then one line for each field of each request and answer, its parts by their names."""
    lines: set[str] = set()
    for route in routes.ROUTES:
        shape = request_shape(route.params)
        lines.update(_fields(shape.name, shape))
    for name in ANSWERED:
        answer = object_shape(name)
        assert answer is not None, name
        lines.update(_fields(name, answer))
    return [f"version {API_VERSION}", *sorted(lines)]


def pinned() -> list[str]:
    return PINNED.read_text(encoding="utf-8").splitlines()


def differences(pinned: list[str]) -> list[str]:
    """What changed since the pin, as `- gone` and `+ new` lines; empty when nothing did."""
    current = described()
    gone = [f"- {line}" for line in sorted(set(pinned) - set(current))]
    return gone + [f"+ {line}" for line in sorted(set(current) - set(pinned))]


def _fields(name: str, shape: Structure) -> Iterator[str]:
    """The fields of an object itself. Of its parts the names are given: what is inside them changes often, far from
    what is modelled, and each request and answer is held against all of it anyway.
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
    """The values, or for a long enum their number and a digest: the pin is there to be read."""
    text = "/".join(str(value) or "''" for value in choice.values)
    if len(choice.values) <= _LONGEST_ENUM:
        return text
    return f"one of {len(choice.values)} values ({hashlib.sha256(text.encode()).hexdigest()[:8]})"


if __name__ == "__main__":
    PINNED.write_text("\n".join(described()) + "\n", encoding="utf-8")
    sys.exit(0)
