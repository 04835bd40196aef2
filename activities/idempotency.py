"""Idempotency keys of mutating calls: one effect per step."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from models.domain.errors import ReplayedFailure, Retryable

T = TypeVar("T")

_MAX_KEYS = 5


async def with_idempotency_key(key: str, retrying: bool, call: Callable[[str], Awaitable[T]]) -> T:
    """Make a mutating call under the step's key.

    Stripe replays a stored server error for as long as it keeps the key (Stripe API, "Idempotent requests").
    `retrying` says that a look-up has shown the call to have had no effect: the step then continues under its next
    key, `…:fresh-2`, `…:fresh-3`. Raises `ReplayedFailure` if not `retrying`, and `Retryable` after the last key.
    """
    for number in range(1, _MAX_KEYS + 1):
        try:
            return await call(key if number == 1 else f"{key}:fresh-{number}")
        except ReplayedFailure:
            if not retrying:
                raise
    raise Retryable("Stripe failed under every key of the step")
