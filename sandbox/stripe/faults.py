"""Fault injection: failures between Stripe and its clients, for single requests or at a rate.

| kind | response | takes effect | stored under the key |
| --- | --- | --- | --- |
| `rate_limit` | 429, with the requested `Stripe-Should-Retry` | no | no |
| `lock_timeout` | 429 `lock_timeout` | no | no |
| `error_before` | 500 | no | yes |
| `error_after` | 500 | yes | yes, as the 500 |
| `drop_before` | none, the connection is closed | no | no |
| `drop_after` | none, the connection is closed | yes | yes, as the lost response |
| `latency` | the normal one, `seconds` later; the key is in use until then | yes | yes |
| `stall` | the normal one, once the faults are cleared; the key is in use until then | yes | yes |

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
    """An injected fault: its kind, the requests that it matches, and how often it hits them.

    `path` is a pattern with `*`. `times` counts down; None is unlimited. `rate_percent` is the share of matching
    requests that the fault hits, at random with `seed`.
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

    def try_hit(self, method: str, path: str) -> bool:
        if self.times == 0 or method != self.method or not fnmatch.fnmatchcase(path, self.path):
            return False
        if self._random.randrange(100) >= self.rate_percent:
            return False
        self.hits += 1
        if self.times is not None:
            self.times -= 1
        return True

    async def wait(self) -> None:
        """Wait for the fault's latency, or until it is cleared."""
        if self.kind == "latency":
            await asyncio.sleep(self.seconds)
        elif self.kind == "stall":
            await self._cleared.wait()

    def clear(self) -> None:
        self._cleared.set()

    def early_error(self) -> StripeError | None:
        """The error of a fault that rejects the request before routing, or None."""
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
    """The active faults. They are not part of the state: a restart clears them."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def inject(self, params: JsonObject) -> Fault:
        fault = Fault(**params)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        for fault in self._faults:
            fault.clear()
        self._faults.clear()

    def active(self) -> list[Fault]:
        return list(self._faults)

    def hit(self, method: str, path: str) -> Fault | None:
        """The first fault that hits this request, if any."""
        return next((fault for fault in self._faults if fault.try_hit(method, path)), None)
