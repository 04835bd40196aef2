"""The people of the demo. They use only the API, the pages that it links to, and their own token."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID, uuid4

import httpx

from models.domain.actors import Role, SignUpRole
from sandbox.browser.onboarding_page import onboard

Json = dict[str, Any]

_POLL_TIMEOUT_SECONDS = 60
_FIRST_POLL_SECONDS, _LAST_POLL_SECONDS = 0.1, 0.8
_POLL_GROWTH = 1.25
"""Soon at first, and then less and less often: many wait at once, and each poll costs CPU."""


class Unexpected(Exception):
    """The API or a page did not do what the journey expects."""


@dataclass(frozen=True)
class Person:
    """A user with a token. Methods raise `Unexpected`, with the response, for a response that is not expected."""

    http: httpx.AsyncClient
    """Its base URL is the API's."""
    role: Role
    id: UUID
    token: str

    @classmethod
    async def sign_up(cls, http: httpx.AsyncClient, role: SignUpRole, name: str, time_zone: str) -> Self:
        """Sign up a new user and get their token."""
        credentials = {"email": f"{uuid4()}@{role}s.example", "password": f"a password nobody guesses {uuid4()}"}
        account = await _call(
            http, "POST", "/auth/signup", 201, credentials | {"role": role, "name": name, "time_zone": time_zone}
        )
        token = await _call(http, "POST", "/auth/token", 200, credentials)
        return cls(http, Role(role), UUID(account["id"]), token["access_token"])

    async def call(self, method: str, path: str, expect: int = 200, json: Json | None = None, **headers: str) -> Json:
        return await _call(self.http, method, path, expect, json, Authorization=f"Bearer {self.token}", **headers)

    async def complete_onboarding(self) -> None:
        """Onboard an instructor at Stripe and wait until they can be booked."""
        link = await self.call("POST", "/instructors/me/onboarding-link", 201)
        await onboard(link["url"])
        await _until(lambda: self.call("GET", "/instructors/me"), payments__can_be_paid=True)

    async def book(self, slot_id: UUID, expect: int = 201) -> Json:
        return await self.call(
            "POST", "/bookings", expect, {"slot_id": str(slot_id)}, **{"Idempotency-Key": str(uuid4())}
        )

    async def decide(self, booking_id: str, decision: str, json: Json | None = None, expect: int = 200) -> Json:
        return await self.call("POST", f"/bookings/{booking_id}/{decision}", expect, json)

    async def join(self, booking_id: str) -> None:
        """Join the meeting and stay in it."""
        link = await self.call("GET", f"/bookings/{booking_id}/join")
        (await self.http.post(link["url"], data={"action": "join"})).raise_for_status()

    async def get_booking(self, booking_id: str) -> Json:
        """The booking, or the problem document of a deleted one (`status` 410)."""
        response = await self.http.get(f"/v1/bookings/{booking_id}", headers={"Authorization": f"Bearer {self.token}"})
        if response.status_code not in (200, 410):
            raise Unexpected(f"GET booking {booking_id}: {response.status_code}: {response.text}")
        body: Json = response.json()
        return body

    async def wait_until(self, booking_id: str, **fields: object) -> Json:
        """Poll until the booking has these fields. `a__b` means field `b` of `a`."""
        return await _until(lambda: self.get_booking(booking_id), **fields)

    async def wait_for_renewal(self, booking_id: str) -> str:
        """Poll until the student can pay again. Returns the URL of the page."""

        async def renewal() -> Json:
            payment = (await self.get_booking(booking_id)).get("payment") or {}
            renewal: Json = payment.get("renewal") or {}
            return renewal | {"is_open": bool(renewal.get("checkout_url"))}

        return str((await _until(renewal, is_open=True))["checkout_url"])

    async def wait_for_payout(self, booking_id: str, status: str) -> Json:
        """Poll until the caller's payout of a booking has this status."""

        async def payout() -> Json:
            page = await self.call("GET", "/instructors/me/payouts")
            return next((payout for payout in page["data"] if payout["booking_id"] == booking_id), {})

        return await _until(payout, status=status)


async def _call(
    http: httpx.AsyncClient, method: str, path: str, expect: int, json: Json | None = None, **headers: str
) -> Json:
    response = await http.request(method, f"/v1{path}", json=json, headers=headers)
    if response.status_code != expect:
        raise Unexpected(f"{method} {path}: {response.status_code} instead of {expect}: {response.text}")
    body: Json = response.json()
    return body


async def _until(get: Callable[[], Awaitable[Json]], **fields: object) -> Json:
    body: Json = {}
    pause = _FIRST_POLL_SECONDS
    async with asyncio.timeout(_POLL_TIMEOUT_SECONDS):
        try:
            while True:
                body = await get()
                if all(_field(body, name) == value for name, value in fields.items()):
                    return body
                await asyncio.sleep(pause)
                pause = min(pause * _POLL_GROWTH, _LAST_POLL_SECONDS)
        except asyncio.CancelledError:
            raise Unexpected(f"it never had {fields}; last seen: {body}") from None


def _field(body: Json, name: str) -> object:
    value: Any = body
    for part in name.split("__"):
        value = value.get(part) if isinstance(value, dict) else None
    return value
