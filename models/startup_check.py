"""What a program refuses to start with: one line on stderr for each problem, and never a value."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from models.settings import Environment

_STRIPE_PREFIX = re.compile(r"^(whsec|(sk|rk)_(live|test))_")
_PLACEHOLDER = re.compile(r"change.?me|placeholder|example|password|secret|your[_-]|xxxx|\.\.\.|…|^<", re.IGNORECASE)
_DISTINCT_CHARACTERS = 6


class InvalidSettings(SystemExit):
    """Ends the program without a traceback: Python prints the message and exits with 1."""


def check_settings(*kinds: type[BaseSettings]) -> None:
    """Raises `InvalidSettings` with all problems of the environment at once.

    In production, a secret must not be weak or used for two purposes, and every URL must be https.
    """
    settings: list[BaseSettings] = []
    problems: list[str] = []
    for kind in kinds:
        try:
            settings.append(kind())
        except ValidationError as error:
            problems += _invalid(kind, error)
    if os.environ.get("HOLDFAST_ENV", Environment.PRODUCTION) == Environment.PRODUCTION:
        problems += [*_unencrypted(settings), *_weak(settings), *_shared(settings)]
    if problems:
        raise InvalidSettings("\n".join(dict.fromkeys(problems)))


def _invalid(kind: type[BaseSettings], error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        text = problem["msg"].removeprefix("Value error, ")
        # A rule about several settings names them itself.
        yield f"{_variable(kind, str(problem['loc'][0]))}: {text}" if problem["loc"] else text


def _unencrypted(settings: Sequence[BaseSettings]) -> Iterator[str]:
    for each in settings:
        for name, value in each:
            if any(str(url).startswith("http://") for url in (value if isinstance(value, tuple) else (value,))):
                yield f"{_variable(type(each), name)}: must be https in production"


def _weak(settings: Sequence[BaseSettings]) -> Iterator[str]:
    for variable, secret in _secrets(settings):
        random = _STRIPE_PREFIX.sub("", secret)
        # A text that repeats a part of itself is found in its double, before the second half.
        if len(set(random)) < _DISTINCT_CHARACTERS or random in (random + random)[1:-1]:
            yield f"{variable}: repeats its characters; generate one with `openssl rand -hex 32`"
        elif _PLACEHOLDER.search(random):
            yield f"{variable}: is a placeholder; generate one with `openssl rand -hex 32`"


def _shared(settings: Sequence[BaseSettings]) -> Iterator[str]:
    variables: defaultdict[str, set[str]] = defaultdict(set)
    for variable, secret in _secrets(settings):
        variables[secret].add(variable)
    for names in variables.values():
        if len(names) > 1:
            yield f"{', '.join(sorted(names))}: have the same secret; each needs its own"


def _secrets(settings: Sequence[BaseSettings]) -> Iterator[tuple[str, str]]:
    """Each secret with the variable that has it. A variable can have several, separated by commas."""
    for each in settings:
        for name, value in each:
            # A private key in PEM was read when the settings were.
            if not isinstance(value, SecretStr) or "-----BEGIN" in value.get_secret_value():
                continue
            text = value.get_secret_value()
            parts = [unquote(urlsplit(text).password or "")] if "://" in text else text.split(",")
            yield from ((_variable(type(each), name), part.strip()) for part in parts if part.strip())


def _variable(kind: type[BaseSettings], name: str) -> str:
    return f"{kind.model_config.get('env_prefix', '')}{name}".upper()
