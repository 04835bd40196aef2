"""Limits of texts that requests of many kinds have: metadata and statement descriptors.

Sources: API reference, "Metadata"; docs "Statement descriptors".
"""

from typing import Any

from sandbox.stripe.errors import invalid
from sandbox.stripe.json_values import JsonObject

_MAX_KEYS = 50
_MAX_KEY_LENGTH = 40
_MAX_VALUE_LENGTH = 500

_MAX_DESCRIPTOR_LENGTH = 22
_NOT_IN_DESCRIPTORS = frozenset("<>\\'\"*")
_FIRST_NON_LATIN = "\u0250"


def check(params: JsonObject, path: str = "") -> None:
    """Check the parameters of a request, at any depth.

    Raises:
        StripeError: 400 for metadata or a statement descriptor beyond Stripe's limits.
    """
    for name, value in params.items():
        param = f"{path}[{name}]" if path else name
        if name == "metadata":
            check_metadata(value, param)
        elif isinstance(value, dict):
            check(value, param)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    check(item, f"{param}[{index}]")
        elif name in ("statement_descriptor", "statement_descriptor_suffix") and value:
            _check_descriptor(str(value), param)


def check_metadata(metadata: Any, param: str = "metadata") -> None:
    if not isinstance(metadata, dict):
        return
    if len(metadata) > _MAX_KEYS:
        raise invalid(f"Metadata can have up to {_MAX_KEYS} keys, but you've set {len(metadata)}.", param=param)
    for key, value in metadata.items():
        if len(key) > _MAX_KEY_LENGTH:
            message = (
                f"Metadata keys can have up to {_MAX_KEY_LENGTH} characters, but you passed in a key that is "
                f"{len(key)} characters."
            )
            raise invalid(message, param=param)
        if len(str(value)) > _MAX_VALUE_LENGTH:
            message = (
                f"Metadata values can have up to {_MAX_VALUE_LENGTH} characters, but you passed in a value that is "
                f"{len(str(value))} characters."
            )
            raise invalid(message, param=f"{param}[{key}]")


def _check_descriptor(text: str, param: str) -> None:
    if len(text) > _MAX_DESCRIPTOR_LENGTH:
        message = f"The statement descriptor must be at most {_MAX_DESCRIPTOR_LENGTH} characters."
        raise invalid(message, param=param)
    if not any(character.isalpha() for character in text):
        raise invalid("The statement descriptor must contain at least one alphabetic character.", param=param)
    if _NOT_IN_DESCRIPTORS & set(text) or any(character >= _FIRST_NON_LATIN for character in text):
        message = "The statement descriptor can't contain these characters: < > \\ ' \" *, nor any that are not Latin."
        raise invalid(message, param=param)
