"""`docker-compose.yml` as Compose reads it: variables interpolated, services with what they share."""

import re
import secrets
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from sandbox.stack.environment import PROJECT_ROOT

_VARIABLE = re.compile(r"\$(?:\{([A-Z0-9_]+)(?::([-?])([^}]*))?\}|(\$))")

_EXAMPLE = (PROJECT_ROOT / ".env.example").read_text()
_SECRET = re.compile(r"_(SECRET|PASSWORD|KEY)$")
OPTIONAL = dict(re.findall(r"^#([A-Z0-9_]+)=(.*)$", _EXAMPLE, re.MULTILINE))
"""What `.env.example` shows as defaults."""

DOTENV = {
    name: value + secrets.token_hex(32) if _SECRET.search(name) else value
    for name, value in re.findall(r"^([A-Z0-9_]+)=(.*)$", _EXAMPLE, re.MULTILINE)
}
"""`.env.example` with secrets filled in."""

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


def defaults() -> dict[str, str]:
    """The variables that have a default in the file."""
    text = (PROJECT_ROOT / "docker-compose.yml").read_text()
    return {name: argument for name, operator, argument, _ in _VARIABLE.findall(text) if operator == "-"}


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
