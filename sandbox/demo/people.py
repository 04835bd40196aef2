"""The people of the demo: they know the API, the pages that it sends them to and their own token, and no more."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID, uuid4

import httpx

from models.domain.actors import Role, SignUpRole
from sandbox.browser.onboarding_page import onboard

Json = dict[str, Any]

_PATIENCE_SECONDS = 60
_LOOK_EVERY_SECONDS = 0.2


class Unexpected(Exception):
    """The API or a page did not do what the journey expects."""


@dataclass(frozen=True)
class Person:
    """Somebody with a token. Raises `Unexpected`, with what was answered, when an answer is not the expected one."""

    http: httpx.AsyncClient
    """At the API's address."""
    role: Role
    id: UUID
    token: str

    @classmethod
    async def sign_up(cls, http: httpx.AsyncClient, role: SignUpRole, name: str, time_zone: str) -> Self:
        """Somebody new, who has signed in."""
        known = {"email": f"{uuid4()}@{role}s.example", "password": f"a password nobody guesses {uuid4()}"}
        account = await _call(
            http, "POST", "/auth/signup", 201, known | {"role": role, "name": name, "time_zone": time_zone}
        )
        token = await _call(http, "POST", "/auth/token", 200, known)
        return cls(http, Role(role), UUID(account["id"]), token["access_token"])

    async def call(self, method: str, path: str, expect: int = 200, json: Json | None = None, **headers: str) -> Json:
        return await _call(self.http, method, path, expect, json, Authorization=f"Bearer {self.token}", **headers)

    async def get_payable(self) -> None:
        """An instructor tells Stripe what it asks, and waits until they can be booked."""
        link = await self.call("POST", "/instructors/me/onboarding-link", 201)
        await onboard(link["url"])
        await _until(lambda: self.call("GET", "/instructors/me"), payments__can_be_paid=True)

    async def book(self, slot_id: UUID, expect: int = 201) -> Json:
        return await self.call(
            "POST", "/bookings", expect, {"slot_id": str(slot_id)}, **{"Idempotency-Key": str(uuid4())}
        )

    async def decide(self, booking_id: str, decision: str, json: Json | None = None) -> Json:
        return await self.call("POST", f"/bookings/{booking_id}/{decision}", json=json)

    async def join(self, booking_id: str) -> None:
        """Come to the meeting, and stay."""
        link = await self.call("GET", f"/bookings/{booking_id}/join")
        (await self.http.post(link["url"], data={"action": "join"})).raise_for_status()

    async def see(self, booking_id: str) -> Json:
        """The booking, or what is said of a deleted one (`status` 410)."""
        response = await self.http.get(f"/v1/bookings/{booking_id}", headers={"Authorization": f"Bearer {self.token}"})
        if response.status_code not in (200, 410):
            raise Unexpected(f"GET booking {booking_id}: {response.status_code}: {response.text}")
        answer: Json = response.json()
        return answer

    async def wait_until(self, booking_id: str, **fields: object) -> Json:
        """Look again and again until the booking has these fields; `a__b` means `b` of `a`."""
        return await _until(lambda: self.see(booking_id), **fields)

    async def wait_for_payout(self, booking_id: str, status: str) -> Json:
        """The caller's share of a booking on its way to the bank, once it has come that far."""

        async def look() -> Json:
            listed = await self.call("GET", "/instructors/me/payouts")
            return next((share for share in listed["data"] if share["booking_id"] == booking_id), {})

        return await _until(look, status=status)


async def _call(
    http: httpx.AsyncClient, method: str, path: str, expect: int, json: Json | None = None, **headers: str
) -> Json:
    response = await http.request(method, f"/v1{path}", json=json, headers=headers)
    if response.status_code != expect:
        raise Unexpected(f"{method} {path}: {response.status_code} instead of {expect}: {response.text}")
    answer: Json = response.json()
    return answer


async def _until(look: Callable[[], Awaitable[Json]], **fields: object) -> Json:
    answer: Json = {}
    async with asyncio.timeout(_PATIENCE_SECONDS):
        try:
            while True:
                answer = await look()
                if all(_field(answer, name) == value for name, value in fields.items()):
                    return answer
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
        except asyncio.CancelledError:
            raise Unexpected(f"it never had {fields}; last seen: {answer}") from None


def _field(answer: Json, name: str) -> object:
    value: Any = answer
    for part in name.split("__"):
        value = value.get(part) if isinstance(value, dict) else None
    return value
