"""The environment that the processes of a local stack get: the caller's, without what could lead them astray."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]

# Settings of the clients we use. A developer's shell may well hold those of another Temporal, another Stripe
# account, another Postgres or another mail server; a local stack must never talk to them by accident.
_FOREIGN_PREFIXES = ("TEMPORAL_", "STRIPE_", "PG", "DATABASE_URL", "HOLDFAST_SMTP_", "HOLDFAST_MAIL_")


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment, cleaned, with `extra` on top. Holdfast's own settings (`HOLDFAST_…`) stay."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_PREFIXES)}
    return inherited | _PYTHON | _LOCAL | dict(extra)


_PYTHON = {"PYTHONPATH": str(PROJECT_ROOT), "PYTHONUNBUFFERED": "1"}

_LOCAL = {
    # A proxy does not know our loopback.
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    # Else a profile in the user's home directory could turn TLS on.
    "TEMPORAL_CONFIG_FILE": os.devnull,
}


def python(*arguments: str) -> list[str]:
    """A command line for this interpreter."""
    return [sys.executable, *arguments]
