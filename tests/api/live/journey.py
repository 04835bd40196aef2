"""Steps that most journeys share, taken over HTTP."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlmodel.ext.asyncio.session import AsyncSession

from models.tables.bookings import LiveSession
from sandbox.browser.checkout_page import GOOD_CARD, pay
from tests.api.meetings.provider_events import report
from tests.api.meetings.provider_events import send as send_meeting_event
from tests.api.stripe_events import AUTHORIZED, event, send
from tests.api.world import JSON, Person, World, book

_TIMEOUT_SECONDS = 20
REASON: JSON = {"reason": "They met by phone."}
"""Why an operator settles before the session's end."""


async def booked(client: httpx.AsyncClient, world: World, slot_id: UUID | None = None) -> JSON:
    answer = await book(client, world.student, slot_id or await world.slot())
    assert answer.status_code == 201, answer.text
    created: JSON = answer.json()
    return created


async def paid(client: httpx.AsyncClient, world: World, slot_id: UUID | None = None, *, succeeded: bool = False) -> str:
    """A booking that waits for the instructor. `succeeded`: it was charged, not only authorized."""
    created = await booked(client, world, slot_id)
    assert await pay(created["checkout_url"], GOOD_CARD)
    type_ = "payment_intent.succeeded" if succeeded else AUTHORIZED
    # The sandbox has no webhook endpoint for this app, so the test sends the event.
    assert (await send(client, event(type_, created["id"]))).status_code == 200
    await seen(client, world.student, created["id"], lambda shown: shown["payment"] is not None)
    booking_id: str = created["id"]
    return booking_id


async def approved(client: httpx.AsyncClient, world: World, slot_id: UUID | None = None) -> str:
    booking_id = await paid(client, world, slot_id)
    answer = await decide(client, world.instructor, booking_id, "approve")
    assert answer.status_code == 200, answer.text
    return booking_id


async def over(client: httpx.AsyncClient, world: World, *present: Person) -> str:
    """A booking whose session is over. Those who are `present` have joined at its start and never left."""
    booking_id = await approved(client, world, await world.slot(timedelta(seconds=6), timedelta(seconds=1)))
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    ends_in = datetime.fromisoformat(shown["ends_at"]) - datetime.now(UTC)
    await asyncio.sleep(max(0.0, ends_in.total_seconds()) + 0.1)
    async with AsyncSession(world.engine) as session:
        room = (await session.get_one(LiveSession, UUID(booking_id))).room
    starts_at = datetime.fromisoformat(shown["starts_at"])
    for person in present:
        joined = report("PARTICIPANT_JOINED", room, person, starts_at, participantJid=f"{person.id}@8x8.vc")
        assert (await send_meeting_event(client, joined)).status_code == 200
    return booking_id


async def decide(
    client: httpx.AsyncClient, person: Person, booking_id: str, decision: str, body: JSON | None = None
) -> httpx.Response:
    return await client.post(f"/v1/bookings/{booking_id}/{decision}", json=body, headers=person.headers)


async def order(
    client: httpx.AsyncClient, operator: Person, booking_id: str, decision: str, body: JSON | None = None
) -> httpx.Response:
    return await client.post(f"/v1/operator/bookings/{booking_id}/{decision}", json=body, headers=operator.headers)


async def seen(client: httpx.AsyncClient, person: Person, booking_id: str, is_so: Any) -> JSON:
    """Poll a booking until `is_so(booking)`. Raises `TimeoutError` after 20 seconds."""
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        while True:
            answer = await client.get(f"/v1/bookings/{booking_id}", headers=person.headers)
            shown: JSON = answer.json()
            if answer.status_code == 200 and is_so(shown):
                return shown
            await asyncio.sleep(0.02)
