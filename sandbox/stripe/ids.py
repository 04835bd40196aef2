"""Ids in Stripe's format: a prefix for the kind, then letters and digits."""

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits

PLATFORM = "acct_1SandboxPlatform00"
APPLICATION = "ca_SandboxPlatformApplication"


def new_id(prefix: str, length: int = 24) -> str:
    """A random id `prefix_…`. It is unguessable, which protects the Checkout page's URL."""
    return f"{prefix}_{new_token(length)}"


def new_token(length: int) -> str:
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in secrets.token_bytes(length))
