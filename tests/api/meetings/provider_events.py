"""Scheduled sessions, and the meeting provider's events about them, signed as 8x8 signs them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.meetings.webhook_events import signature
from models.domain.states import BookingStatus, SessionStatus
from models.tables.bookings import AttendanceEvent, LiveSession
from tests.api.world import HOUR, JSON, MEETING_WEBHOOK_KEY, Person, World

PATH = "/v1/meetings/webhook"


async def scheduled(
    world: World,
    starts_in: timedelta = timedelta(0),
    lasts: timedelta = HOUR,
    session_status: SessionStatus = SessionStatus.SCHEDULED,
    **fields: Any,
) -> tuple[UUID, str]:
    """Store an approved booking with a session. Returns the booking's id and the room."""
    slot_id = await world.slot(starts_in, lasts)
    booking_id = await world.booking(slot_id, **({"status": BookingStatus.ACCEPTED} | fields))
    now, room = datetime.now(UTC), uuid4().hex
    await world.add(
        LiveSession(
            booking_id=booking_id,
            status=session_status,
            room=room,
            total_price_minor=10_000,
            platform_fee_minor=2_000,
            instructor_payout_minor=8_000,
            currency="usd",
            created_at=now,
            updated_at=now,
        )
    )
    return booking_id, room


def report(kind: str, room: str, person: Person | None = None, at: datetime | None = None, **data: Any) -> JSON:
    """An event as in 8x8's "Payload structure"."""
    participant = {"id": str(person.id), "name": "Ada", "email": "ada@students.test"} if person else {}
    return {
        "idempotencyKey": str(uuid4()),
        "customerId": "c2824d584eac4489a1e32e4e164d5a3c",
        "appId": "vpaas-magic-cookie-c2824d584eac4489a1e32e4e164d5a3c",
        "eventType": kind,
        "sessionId": str(uuid4()),
        "timestamp": round((at or datetime.now(UTC)).timestamp() * 1000),
        "fqn": f"vpaas-magic-cookie-c2824d584eac4489a1e32e4e164d5a3c/{room}",
        "data": participant | {"participantJid": "one@8x8.vc"} | data,
    }


async def send(
    client: httpx.AsyncClient, event: JSON | str, key: str = MEETING_WEBHOOK_KEY, time: str = "1632490060"
) -> httpx.Response:
    body = (event if isinstance(event, str) else json.dumps(event)).encode()
    header = f"t={time},v1={signature(body, time, key)}"
    return await client.post(PATH, content=body, headers={"X-Jaas-Signature": header})


async def recorded(world: World) -> list[AttendanceEvent]:
    async with AsyncSession(world.engine) as session:
        return list((await session.exec(select(AttendanceEvent).order_by(col(AttendanceEvent.at)))).all())
