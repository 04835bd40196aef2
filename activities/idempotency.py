"""One effect for each step, under a key that Stripe remembers."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from models.domain.errors import ReplayedFailure, Retryable

T = TypeVar("T")

_MOST_FRESH_KEYS = 5


async def with_idempotency_key(key: str, retrying: bool, call: Callable[[str], Awaitable[T]]) -> T:
    """Make a mutating call under the step's key.

    Stripe replays a stored server error for as long as it keeps the key (Stripe API, "Idempotent requests"). Once
    a look-up has shown that the call had no effect, the step goes on under its next key: `…:fresh-2`, `…:fresh-3`.
    """
    for number in range(1, _MOST_FRESH_KEYS + 1):
        try:
            return await call(key if number == 1 else f"{key}:fresh-{number}")
        except ReplayedFailure:
            if not retrying:
                raise
    raise Retryable("Stripe failed under every key of the step")
