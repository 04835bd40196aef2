"""Startup checks: a sandbox listens on loopback or in a container, and never runs in production or by a live key."""

import ipaddress
from collections.abc import Mapping
from typing import Final

_LIVE_KEY_PREFIXES = ("sk_live_", "rk_live_")


ALL_ADDRESSES: Final = "0.0.0.0"  # noqa: S104 - of a container, whose network decides who reaches it


def refusal(host: str, environment: Mapping[str, str], *, in_container: bool = False) -> str | None:
    """The reason why the sandbox must not start, or None. It has names of settings, never their values."""
    if not (_is_loopback(host) or in_container):
        return f"{host} is not a loopback address"
    for name, value in sorted(environment.items()):
        if value.strip().startswith(_LIVE_KEY_PREFIXES):
            return f"{name} holds a live Stripe key"
    if environment.get("HOLDFAST_ENV") == "production":
        return "HOLDFAST_ENV is production"
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
