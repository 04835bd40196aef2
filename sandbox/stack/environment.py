"""The environment of a local stack's processes: the caller's, without the settings of other services."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]

# A developer's shell may point at another Temporal, Stripe account, Postgres or mail server. A local stack must never
# connect to those by accident.
_REMOVED_PREFIXES = ("TEMPORAL_", "STRIPE_", "PG", "DATABASE_URL", "HOLDFAST_SMTP_", "HOLDFAST_MAIL_")


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without those settings, updated with `extra`. Holdfast's own (`HOLDFAST_…`) stay."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_REMOVED_PREFIXES)}
    return inherited | _PYTHON | _LOCAL | dict(extra)


_PYTHON = {"PYTHONPATH": str(PROJECT_ROOT), "PYTHONUNBUFFERED": "1"}

_LOCAL = {
    # A proxy cannot reach this machine's loopback.
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    # Otherwise a profile in the user's home directory could turn TLS on.
    "TEMPORAL_CONFIG_FILE": os.devnull,
}


def python(*arguments: str) -> list[str]:
    """A command line for this interpreter."""
    return [sys.executable, *arguments]
