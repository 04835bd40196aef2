"""`Idempotency-Key`, kept in Postgres (draft-ietf-httpapi-idempotency-key-header-07).

The same key with the same body returns the same booking. The same key with another body is a 422. A key whose first
request is still in progress is a 409. A process that dies leaves its key in flight for 30 seconds; a retry after that
joins the same booking, because the booking id, and from it the workflow id and Stripe's idempotency keys, are derived
from the student and the key.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.database import Database
from api.http.problems import Kind, Problem
from models.tables.credentials import IdempotencyKey

_IN_FLIGHT = timedelta(seconds=30)
"""Longer than any request with a key can take (`api.http.temporal.Timeouts`)."""


async def refuse_reused_key(session: AsyncSession, student_id: UUID, key: str, body: BaseModel) -> None:
    """Raises the 422 `Problem` if the key was used with another body, whatever the outcome of that request."""
    known = await session.get(IdempotencyKey, (student_id, key))
    if known is not None and known.fingerprint != _fingerprint(body):
        raise Problem(Kind.IDEMPOTENCY_KEY_REUSED, "The key came with another request. A new booking needs a new one.")


@asynccontextmanager
async def in_flight(
    database: Database, student_id: UUID, key: str, body: BaseModel, now: datetime
) -> AsyncIterator[None]:
    """Hold the key: only one request at a time can. Raises the 409 or 422 `Problem`."""
    async with database.writing() as session:
        if not await _acquire(session, student_id, key, _fingerprint(body), now):
            await refuse_reused_key(session, student_id, key, body)
            raise Problem(
                Kind.IDEMPOTENCY_KEY_IN_USE,
                "A request with this key is being answered. Send it again in a moment.",
                headers={"Retry-After": "1"},
            )
    try:
        yield
    finally:
        async with database.writing() as session:
            await session.exec(update(IdempotencyKey).where(_matches(student_id, key)).values(in_flight_until=None))


async def _acquire(session: AsyncSession, student_id: UUID, key: str, fingerprint: str, now: datetime) -> bool:
    """A single statement, so that only one of any number of concurrent requests gets the key."""
    row = IdempotencyKey(
        student_id=student_id, key=key, fingerprint=fingerprint, in_flight_until=now + _IN_FLIGHT, created_at=now
    )
    free = or_(col(IdempotencyKey.in_flight_until).is_(None), col(IdempotencyKey.in_flight_until) <= now)
    taken = (
        insert(IdempotencyKey)
        .values(row.model_dump())
        .on_conflict_do_update(
            index_elements=["student_id", "key"],
            set_={"in_flight_until": row.in_flight_until},
            where=free & (col(IdempotencyKey.fingerprint) == fingerprint),
        )
        .returning(col(IdempotencyKey.key))
    )
    return (await session.exec(taken)).first() is not None


def _fingerprint(body: BaseModel) -> str:
    return hashlib.sha256(body.model_dump_json(exclude_defaults=True).encode()).hexdigest()


def _matches(student_id: UUID, key: str) -> ColumnElement[bool]:
    return and_(col(IdempotencyKey.student_id) == student_id, col(IdempotencyKey.key) == key)
