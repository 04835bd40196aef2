"""`docker-compose.yml` as Compose reads it: variables interpolated, services with what they share."""

import re
import secrets
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from sandbox.stack.environment import PROJECT_ROOT

_VARIABLE = re.compile(r"\$(?:\{([A-Z0-9_]+)(?::([-?])([^}]*))?\}|(\$))")

DOTENV = {
    "HOLDFAST_PUBLIC_URL": "https://holdfast.example",
    "HOLDFAST_TOKEN_SECRET": secrets.token_hex(32),
    "STRIPE_API_KEY": f"rk_test_{secrets.token_hex(16)}",
    "STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(16)}",
    "STRIPE_CONNECT_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(16)}",
    "STRIPE_LIVEMODE": "false",
    "HOLDFAST_SMTP_HOST": "127.0.0.1",
    "HOLDFAST_MAIL_FROM": "Holdfast <post@holdfast.example>",
    "POSTGRES_PASSWORD": secrets.token_hex(32),
    "POSTGRES_PROGRAM_PASSWORD": secrets.token_hex(32),
    "TEMPORAL_POSTGRES_PASSWORD": secrets.token_hex(32),
}
"""An `.env` with what docs/operations/self-hosting.md asks for."""

SANDBOX_DOTENV = DOTENV | {
    "HOLDFAST_ENV": "development",
    "HOLDFAST_PUBLIC_URL": "http://127.0.0.1:8000",
    "STRIPE_API_KEY": "sk_test_sandbox",
    "STRIPE_API_BASE": "http://stripe-sandbox:8020",
    "HOLDFAST_SMTP_HOST": "mail-sandbox",
    "HOLDFAST_SMTP_PORT": "1025",
    "HOLDFAST_SMTP_SECURITY": "none",
}
"""An `.env` for the profile `sandbox`."""


class MissingVariable(Exception):
    pass


@cache
def compose_file() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text())
    return loaded


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose_file()["services"]
    return found


def variables() -> set[str]:
    """The variables that the file takes from `.env`."""
    text = (PROJECT_ROOT / "docker-compose.yml").read_text()
    passed_on = {
        name
        for service in services().values()
        for name, value in service.get("environment", {}).items()
        if value is None
    }
    return passed_on | {name for name, _, _, _ in _VARIABLE.findall(text) if name}


def environment(service: str, env: Mapping[str, str] = DOTENV) -> dict[str, str]:
    """A service's environment with this `.env`. Raises `MissingVariable` if Compose would refuse to start."""
    given = services()[service].get("environment", {})
    passed_on = {name: env[name] for name, value in given.items() if value is None and name in env}
    return passed_on | {name: interpolated(value, env) for name, value in given.items() if value is not None}


def interpolated(text: str, env: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, operator, argument, dollar = match.groups()
        if dollar:
            return dollar
        if env.get(name):
            return env[name]
        if operator == "?":
            raise MissingVariable(f"{name}: {argument}")
        return argument or ""

    return _VARIABLE.sub(value, text)
