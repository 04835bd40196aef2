"""Rate limits, with sliding windows. Authenticated callers are counted per person, all others per IP address.

Quotas that guard accounts are counted per IP address with a token, too: anyone can sign up for more tokens.

Counters are in the process's memory, or in a Redis that all processes share:
docs/decisions/0013-rate-limits-per-process.md. The headers follow
draft-ietf-httpapi-ratelimit-headers-11, and `Retry-After` RFC 9110.
"""

import asyncio
import hashlib
import ipaddress
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from starlette.types import Scope

from api.http.auth import Caller, authenticated_caller
from api.http.backpressure import Backpressure
from api.http.problems import Kind, Problem, problem_responses

_STATES = "holdfast.rate_limits"
_MINUTE = 60

HEAVY_SHARE = 0.03
"""A caller is heavy from this share of a quota on: 18 requests in the last minute, 3 sign-ins in five."""

_SHARED_TIMEOUT_SECONDS = 0.25
_SHARED_PAUSE_SECONDS = 5.0
"""How long the shared storage is left alone after it did not answer."""

T = TypeVar("T")

log = logging.getLogger("holdfast.api")


@dataclass(frozen=True)
class Quota:
    """Up to `requests` per caller within any `seconds`. The name appears in responses."""

    name: str
    requests: int
    seconds: int
    per_address: bool = False
    """Count by IP address, whether or not the caller is authenticated."""

    @property
    def item(self) -> RateLimitItem:
        return RateLimitItemPerSecond(self.requests, self.seconds, namespace=self.name)


GENERAL = Quota("general", 600, _MINUTE)
BOOKINGS = Quota("bookings", 30, _MINUTE)
DOCUMENTS = Quota("papers", 30, _MINUTE)
"""Receipts and statements are rendered on request, which takes longer than any other response."""
ONBOARDING_LINKS = Quota("onboarding-links", 10, 10 * _MINUTE)
SIGN_UPS = Quota("sign-ups", 100, 10 * _MINUTE, per_address=True)
SIGN_INS = Quota("sign-ins", 100, 5 * _MINUTE, per_address=True)
SIGN_UPS_PER_EMAIL = Quota("sign-ups-of-mail", 10, 15 * _MINUTE)
SIGN_INS_PER_EMAIL = Quota("sign-ins-of-mail", 10, 15 * _MINUTE)
"""Per mail address, whoever the caller is: limits password guessing (NIST SP 800-63B-4, section 3.2.2)."""

RESETS = Quota("password-resets", 20, 15 * _MINUTE, per_address=True)
RESETS_PER_EMAIL = Quota("password-resets-of-mail", 3, 15 * _MINUTE)
"""Per mail address, so that nobody can flood another person's mailbox."""
PROBES = Quota("probes", 300, _MINUTE, per_address=True)
"""Readiness asks Postgres and Temporal, without authentication."""
VERIFICATIONS = Quota("verifications", 20, 15 * _MINUTE, per_address=True)
VERIFICATION_MAILS = Quota("verification-mails", 3, 15 * _MINUTE)
"""Per student, so that nobody can flood the mailbox of an address that is not theirs."""


@dataclass(frozen=True)
class RateLimitState:
    """What is left of a quota for one caller."""

    quota: Quota
    remaining: int
    resets_in: int
    """Seconds, rounded up."""


def redis_storage(url: str) -> Storage:
    """A storage that processes share. Raises limits' `ConfigurationError` if the package `redis` is not installed."""
    return RedisStorage(f"async+{url}", wrap_exceptions=True, implementation="redispy", key_prefix="holdfast")


class RateLimits:
    """All counters. Windows slide, so that a caller cannot burst around the end of one.

    Without an answer from the shared storage, the process counts for itself for a while: a request is never refused,
    and never waits for long, because the storage is down.
    """

    def __init__(self, shared: Storage | None = None) -> None:
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = SlidingWindowCounterRateLimiter(shared) if shared else None
        self._shared_again_at = 0.0

    async def spend(self, quota: Quota, key: str) -> tuple[bool, RateLimitState]:
        """Count one request. Returns whether it is within the quota, and what is left of it."""

        async def hit(counters: SlidingWindowCounterRateLimiter) -> tuple[bool, RateLimitState]:
            within = await counters.hit(quota.item, key)
            stats = await counters.get_window_stats(quota.item, key)
            return within, RateLimitState(quota, stats.remaining, max(1, math.ceil(stats.reset_time - time.time())))

        return await self._with_counters(hit)

    async def forget(self, quota: Quota, key: str) -> None:
        await self._with_counters(lambda counters: counters.clear(quota.item, key))

    async def _with_counters(self, act: Callable[[SlidingWindowCounterRateLimiter], Awaitable[T]]) -> T:
        if self._shared and time.monotonic() >= self._shared_again_at:
            try:
                async with asyncio.timeout(_SHARED_TIMEOUT_SECONDS):
                    return await act(self._shared)
            except (StorageError, TimeoutError) as error:
                self._shared_again_at = time.monotonic() + _SHARED_PAUSE_SECONDS
                log.warning("rate limits are counted in this process: %s", type(error.__cause__ or error).__name__)
        return await act(self._own)


def rate_limited(quota: str, detail: str, retry_after_seconds: int) -> Problem:
    return Problem(
        Kind.RATE_LIMITED,
        f"{detail} Try again in {retry_after_seconds} seconds.",
        headers={"Retry-After": str(retry_after_seconds)},
        quota=quota,
    )


class RateLimiter:
    """Counts one request against its quotas."""

    def __init__(self, request: Request, caller: Caller | None) -> None:
        self._limits: RateLimits = request.app.state.limits
        self._backpressure: Backpressure = request.app.state.backpressure
        self._states: list[RateLimitState] = request.scope.setdefault(_STATES, [])
        self._address = f"address {_network(request)}"
        self._caller = f"person {caller.id}" if caller else self._address
        self.is_heavy = False
        """The caller has used so much lately that, while the process is busy, others come first."""

    async def count(self, quota: Quota, key: str | None = None) -> None:
        """Count by `key`, or by the caller. Raises the 429 `Problem`."""
        within, state = await self._limits.spend(quota, key or (self._address if quota.per_address else self._caller))
        self._states.append(state)
        # A quota with a key of its own is not the caller's: anyone can use up the sign-ins of a mail address.
        if key is None and quota.requests - state.remaining > quota.requests * HEAVY_SHARE:
            self.is_heavy = True
        if not within:
            raise rate_limited(quota.name, f"At most {quota.requests} in {quota.seconds} seconds.", state.resets_in)

    async def wait_turn(self) -> None:
        """Heavy callers wait here while the process is busy."""
        if self.is_heavy:
            await self._backpressure.wait_turn()

    async def reset(self, quota: Quota, key: str) -> None:
        """Reset the quota's counter for `key`."""
        await self._limits.forget(quota, key)


async def _meter(request: Request) -> RateLimiter:
    return RateLimiter(request, await authenticated_caller(request))


WithRateLimiter = Annotated[RateLimiter, Depends(_meter)]


async def _count_general(limiter: WithRateLimiter) -> None:
    await limiter.count(GENERAL)
    await limiter.wait_turn()


def limited_by(quota: Quota) -> Any:
    """A route dependency that counts against `quota`, in addition to the general one."""

    async def count(limiter: WithRateLimiter) -> None:
        await limiter.count(quota)
        await limiter.wait_turn()

    return Depends(count)


RATE_LIMITED: dict[str, Any] = {
    "dependencies": [Depends(_count_general)],
    "responses": problem_responses(Kind.RATE_LIMITED),
}
"""Arguments of `include_router` for a router whose routes are rate limited."""
RATE_LIMITED["responses"][429]["headers"] = {
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait before retrying."},
    "RateLimit-Policy": {"schema": {"type": "string"}, "description": 'The quotas: `"general";q=600;w=60`.'},
    "RateLimit": {"schema": {"type": "string"}, "description": 'What is left of each: `"general";r=599;t=60`.'},
}


def email_key(email: str) -> str:
    """The counter key of a mail address: a hash, so that the address itself is not kept."""
    return hashlib.sha256(email.encode()).hexdigest()


def rate_limit_headers(scope: Scope) -> Iterable[tuple[str, str]]:
    """The headers for every quota that the request was counted against."""
    states: list[RateLimitState] = scope.get(_STATES, [])
    if states:
        policies = (f'"{each.quota.name}";q={each.quota.requests};w={each.quota.seconds}' for each in states)
        yield "RateLimit-Policy", ", ".join(policies)
        yield "RateLimit", ", ".join(f'"{each.quota.name}";r={each.remaining};t={each.resets_in}' for each in states)


def _network(request: Request) -> str:
    """The client's IP address. For IPv6 the /64 network: clients choose the lower 64 bits themselves."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else host
