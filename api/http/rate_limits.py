"""How often a caller may ask. Counted in this process's memory: see docs/decisions/0013-rate-limits-per-process.md.

The headers are those of draft-ietf-httpapi-ratelimit-headers-11; `Retry-After` is RFC 9110's.
"""

import hashlib
import ipaddress
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.types import Scope

from api.http.auth import presented
from api.http.problems import Kind, Problem, declared

_STANDINGS = "holdfast.rate_limits"
_MINUTE = 60


@dataclass(frozen=True)
class Quota:
    """So many requests in any so many seconds, of one caller. The name is told to callers."""

    name: str
    requests: int
    seconds: int

    @property
    def item(self) -> RateLimitItem:
        return RateLimitItemPerSecond(self.requests, self.seconds, namespace=self.name)


GENERAL = Quota("general", 600, _MINUTE)
BOOKINGS = Quota("bookings", 30, _MINUTE)
DOCUMENTS = Quota("papers", 30, _MINUTE)
"""Each is drawn for its reader, which takes longer than anything else that is asked."""
ONBOARDING_LINKS = Quota("onboarding-links", 10, 10 * _MINUTE)
SIGN_UPS = Quota("sign-ups", 100, 10 * _MINUTE)
SIGN_INS = Quota("sign-ins", 100, 5 * _MINUTE)
SIGN_UPS_OF_MAIL = Quota("sign-ups-of-mail", 10, 15 * _MINUTE)
SIGN_INS_OF_MAIL = Quota("sign-ins-of-mail", 10, 15 * _MINUTE)
"""Of one mail address, whoever asks: what guessing a password comes to (NIST SP 800-63B-4, section 3.2.2)."""

RESETS = Quota("password-resets", 20, 15 * _MINUTE)
RESETS_OF_MAIL = Quota("password-resets-of-mail", 3, 15 * _MINUTE)
"""Of one mail address: nobody's mailbox is to be filled."""


@dataclass(frozen=True)
class RateLimitState:
    """How a caller stands with a quota."""

    quota: Quota
    left: int
    more_in: int
    """Seconds, rounded up."""


class RateLimits:
    """All of a process's counters. The window slides, so that no burst fits in around its end."""

    def __init__(self) -> None:
        self._counters = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def spend(self, quota: Quota, key: str) -> tuple[bool, RateLimitState]:
        """Whether one more request is within the quota, and how the caller stands after it."""
        within = await self._counters.hit(quota.item, key)
        stats = await self._counters.get_window_stats(quota.item, key)
        return within, RateLimitState(quota, stats.remaining, max(1, math.ceil(stats.reset_time - time.time())))

    async def forget(self, quota: Quota, key: str) -> None:
        await self._counters.clear(quota.item, key)


class Meter:
    """Counts one request against the quotas that it falls under."""

    def __init__(self, request: Request, caller: str) -> None:
        self._limits: RateLimits = request.app.state.limits
        self._standings: list[RateLimitState] = request.scope.setdefault(_STANDINGS, [])
        self._caller = caller

    async def count(self, quota: Quota, key: str | None = None) -> None:
        """By the caller if no other key is given. Raises the 429 `Problem`."""
        within, standing = await self._limits.spend(quota, key or self._caller)
        self._standings.append(standing)
        if not within:
            seconds = standing.more_in
            raise Problem(
                Kind.RATE_LIMITED,
                f"At most {quota.requests} in {quota.seconds} seconds. Try again in {seconds}.",
                headers={"Retry-After": str(seconds)},
                quota=quota.name,
            )

    async def forgive(self, quota: Quota, key: str) -> None:
        """Begin to count anew."""
        await self._limits.forget(quota, key)


async def _meter(request: Request) -> Meter:
    caller = await presented(request)
    return Meter(request, f"person {caller.id}" if caller else f"address {_network(request)}")


WithMeter = Annotated[Meter, Depends(_meter)]


async def _count_all(meter: WithMeter) -> None:
    await meter.count(GENERAL)


def counted(quota: Quota) -> Any:
    """For a route that has a quota of its own, besides the general one."""

    async def count(meter: WithMeter) -> None:
        await meter.count(quota)

    return Depends(count)


RATE_LIMITED: dict[str, Any] = {"dependencies": [Depends(_count_all)], "responses": declared(Kind.RATE_LIMITED)}
"""What a router is included with whose routes are limited."""
RATE_LIMITED["responses"][429]["headers"] = {
    "Retry-After": {"schema": {"type": "integer"}, "description": "In seconds."},
    "RateLimit-Policy": {"schema": {"type": "string"}, "description": 'The quotas: `"general";q=600;w=60`.'},
    "RateLimit": {"schema": {"type": "string"}, "description": 'What is left of them: `"general";r=599;t=60`.'},
}


def of_mail(email: str) -> str:
    """The counters' key of a mail address, which tells nobody the address."""
    return hashlib.sha256(email.encode()).hexdigest()


def headers_of(scope: Scope) -> Iterable[tuple[str, str]]:
    """How the caller stands with each quota that the request was counted against."""
    standings: list[RateLimitState] = scope.get(_STANDINGS, [])
    if standings:
        policies = (f'"{each.quota.name}";q={each.quota.requests};w={each.quota.seconds}' for each in standings)
        yield "RateLimit-Policy", ", ".join(policies)
        yield "RateLimit", ", ".join(f'"{each.quota.name}";r={each.left};t={each.more_in}' for each in standings)


def _network(request: Request) -> str:
    """The client's address. Of an IPv6 address, what its owner cannot change at will: the first 64 bits."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else host
