"""What a program refuses to start with: one line on stderr for each problem, and never a value."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from models.settings import Environment

_STRIPE_PREFIX = re.compile(r"^(whsec|(sk|rk)_(live|test))_")
_PLACEHOLDER = re.compile(r"change.?me|placeholder|example|password|secret|your[_-]|xxxx|\.\.\.|…|^<", re.IGNORECASE)
_DISTINCT_CHARACTERS = 6


class InvalidSettings(SystemExit):
    """Ends the program without a traceback: Python prints the message and exits with 1."""


class _Given(NamedTuple):
    """A setting as it is in the environment, valid or not."""

    variable: str
    text: str
    is_secret: bool


def check_settings(*kinds: type[BaseSettings]) -> None:
    """Raises `InvalidSettings` with all problems of the environment at once.

    In production, a secret must not be weak or used for two purposes, and every URL must be https.
    """
    problems: list[str] = []
    for kind in kinds:
        try:
            kind()
        except ValidationError as error:
            problems += _invalid(kind, error)
    if os.environ.get("HOLDFAST_ENV", Environment.PRODUCTION) == Environment.PRODUCTION:
        given = list(_given(kinds))
        problems += [*_unencrypted(given), *_weak(given), *_shared(given)]
    if problems:
        raise InvalidSettings("\n".join(dict.fromkeys(problems)))


def _given(kinds: Sequence[type[BaseSettings]]) -> Iterator[_Given]:
    environment = {name.upper(): text for name, text in os.environ.items()}
    for kind in kinds:
        for name, field in kind.model_fields.items():
            variable = _variable(kind, name)
            if variable in environment:
                # By name, because the type may be optional, and have a validator.
                is_secret = SecretStr.__name__ in str(field.annotation)
                yield _Given(variable, environment[variable], is_secret)


def _invalid(kind: type[BaseSettings], error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        text = problem["msg"].removeprefix("Value error, ")
        # A rule about several settings names them itself.
        yield f"{_variable(kind, str(problem['loc'][0]))}: {text}" if problem["loc"] else text


def _unencrypted(given: Sequence[_Given]) -> Iterator[str]:
    for each in given:
        if any(url.strip().startswith("http://") for url in each.text.split(",")):
            yield f"{each.variable}: must be https in production"


def _weak(given: Sequence[_Given]) -> Iterator[str]:
    for variable, secret in _secrets(given):
        random = _STRIPE_PREFIX.sub("", secret)
        # A text that repeats a part of itself is found in its double, before the second half.
        if len(set(random)) < _DISTINCT_CHARACTERS or random in (random + random)[1:-1]:
            yield f"{variable}: repeats its characters; generate one with `openssl rand -hex 32`"
        elif _PLACEHOLDER.search(random):
            yield f"{variable}: is a placeholder; generate one with `openssl rand -hex 32`"


def _shared(given: Sequence[_Given]) -> Iterator[str]:
    variables: defaultdict[str, set[str]] = defaultdict(set)
    for variable, secret in _secrets(given):
        variables[secret].add(variable)
    for names in variables.values():
        if len(names) > 1:
            yield f"{', '.join(sorted(names))}: have the same secret; each needs its own"


def _secrets(given: Sequence[_Given]) -> Iterator[tuple[str, str]]:
    """Each secret with the variable that has it. A variable can have several, separated by commas."""
    for variable, text, is_secret in given:
        # A private key in PEM was read when the settings were.
        if is_secret and "-----BEGIN" not in text:
            parts = [unquote(urlsplit(text).password or "")] if "://" in text else text.split(",")
            yield from ((variable, part.strip()) for part in parts if part.strip())


def _variable(kind: type[BaseSettings], name: str) -> str:
    return f"{kind.model_config.get('env_prefix', '')}{name}".upper()
