"""Decodes Stripe's form encoding, `a[b][0][c]=d`, into nested dictionaries of strings.

A list becomes a dictionary keyed by index. The schema decides later whether it is a list.
"""

import re
from urllib.parse import parse_qsl

from sandbox.stripe.errors import invalid
from sandbox.stripe.json_values import JsonObject

_KEY = re.compile(r"^(?P<name>[^\[\]]+)(?P<rest>(\[[^\[\]]*\])*)$")
_PART = re.compile(r"\[([^\[\]]*)\]")


def decode(text: str) -> JsonObject:
    """Decode a form into nested dictionaries with string leaves.

    Raises:
        StripeError: a key is malformed, or is used both as a value and as a container.
    """
    tree: JsonObject = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        match = _KEY.match(key)
        if match is None:
            raise invalid(f"Invalid parameter name: {key}", param=key).not_begun()
        _place(tree, [match["name"], *_PART.findall(match["rest"])], value, key)
    return tree


def _place(node: JsonObject, parts: list[str], value: str, key: str) -> None:
    for part in parts[:-1]:
        child = node.setdefault(part or str(len(node)), {})
        if not isinstance(child, dict):
            raise invalid(f"Invalid object: {key}", param=key).not_begun()
        node = child
    last = parts[-1] or str(len(node))
    if isinstance(node.get(last), dict):
        raise invalid(f"Invalid object: {key}", param=key).not_begun()
    node[last] = value
