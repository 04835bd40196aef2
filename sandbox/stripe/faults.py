"""Faults on order: what goes wrong between Stripe and its callers, for single requests or by rate.

| kind | answer | effect | kept under the key |
| --- | --- | --- | --- |
| `rate_limit` | 429, `Stripe-Should-Retry` as asked | no | no |
| `lock_timeout` | 429 `lock_timeout` | no | no |
| `error_before` | 500 | no | yes |
| `error_after` | 500 | yes | yes, as the 500 |
| `drop_before` | none, the connection ends | no | no |
| `drop_after` | none, the connection ends | yes | yes, as the answer that was lost |
| `latency` | the usual one, `seconds` later; its key is in use meanwhile | yes | yes |
| `stall` | the usual one, once the faults are cleared; its key is in use meanwhile | yes | yes |

Sources: docs "Advanced error handling" and "Rate limits"; API reference, "Idempotent requests".
"""

import asyncio
import fnmatch
import random
from dataclasses import dataclass, field
from typing import Literal, get_args

from sandbox.stripe.errors import StripeError, lock_timeout, rate_limited
from sandbox.stripe.json_values import JsonObject

Kind = Literal[
    "rate_limit", "lock_timeout", "error_before", "error_after", "drop_before", "drop_after", "latency", "stall"
]


@dataclass
class Fault:
    """One order: the kind, which requests it is for, and how often.

    `path` is a pattern with `*`; `times` counts down, None is for ever; `rate_percent` is the share of
    matching requests that it hits, drawn from `seed`.
    """

    kind: Kind
    method: str = "POST"
    path: str = "*"
    times: int | None = 1
    rate_percent: int = 100
    seed: int = 0
    seconds: float = 0.0
    should_retry: bool | None = None
    hits: int = 0
    _cleared: asyncio.Event = field(init=False, repr=False, default_factory=asyncio.Event)
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"a fault is one of {', '.join(get_args(Kind))}, not {self.kind!r}")
        self._random = random.Random(self.seed)  # noqa: S311

    def strikes(self, method: str, path: str) -> bool:
        if self.times == 0 or method != self.method or not fnmatch.fnmatchcase(path, self.path):
            return False
        if self._random.randrange(100) >= self.rate_percent:
            return False
        self.hits += 1
        if self.times is not None:
            self.times -= 1
        return True

    async def wait(self) -> None:
        """Pass the time that the fault takes."""
        if self.kind == "latency":
            await asyncio.sleep(self.seconds)
        elif self.kind == "stall":
            await self._cleared.wait()

    def clear(self) -> None:
        self._cleared.set()

    def refusal(self) -> StripeError | None:
        """The error of a fault that answers before anything else is looked at."""
        if self.kind == "rate_limit":
            return rate_limited(self.should_retry)
        return lock_timeout() if self.kind == "lock_timeout" else None

    def described(self) -> JsonObject:
        return {
            "kind": self.kind,
            "method": self.method,
            "path": self.path,
            "times": self.times,
            "rate_percent": self.rate_percent,
            "hits": self.hits,
        }


class Faults:
    """The orders in force. They are not part of the state: a restart begins without faults."""

    def __init__(self) -> None:
        self._orders: list[Fault] = []

    def order(self, given: JsonObject) -> Fault:
        fault = Fault(**given)
        self._orders.append(fault)
        return fault

    def clear(self) -> None:
        for fault in self._orders:
            fault.clear()
        self._orders.clear()

    def orders(self) -> list[Fault]:
        return list(self._orders)

    def strike(self, method: str, path: str) -> Fault | None:
        """The first fault that hits this request."""
        return next((fault for fault in self._orders if fault.strikes(method, path)), None)
