"""`Idempotency-Key`, kept in Postgres (draft-ietf-httpapi-idempotency-key-header-07).

The same key and body give the same booking, another body 422, a request that is still being answered 409. A process
that dies leaves its key in flight for half a minute; whoever sends the request then joins what was begun, since the
booking's id, and with it the workflow's and Stripe's keys, come from student and key.
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
"""Longer than any request with a key is answered (`saga.Timeouts`)."""


async def refuse_another_body(session: AsyncSession, student_id: UUID, key: str, body: BaseModel) -> None:
    """Raises the 422 `Problem` for a key that came with another body, whatever became of that request."""
    known = await session.get(IdempotencyKey, (student_id, key))
    if known is not None and known.fingerprint != _fingerprint(body):
        raise Problem(Kind.IDEMPOTENCY_KEY_REUSED, "The key came with another request. A new booking needs a new one.")


@asynccontextmanager
async def in_flight(
    database: Database, student_id: UUID, key: str, body: BaseModel, now: datetime
) -> AsyncIterator[None]:
    """Of the requests with this key, this one alone is inside. Raises the 409 or 422 `Problem`."""
    async with database.writing() as session:
        if not await _take(session, student_id, key, _fingerprint(body), now):
            await refuse_another_body(session, student_id, key, body)
            raise Problem(
                Kind.IDEMPOTENCY_KEY_IN_USE,
                "A request with this key is being answered. Send it again in a moment.",
                headers={"Retry-After": "1"},
            )
    try:
        yield
    finally:
        async with database.writing() as session:
            await session.exec(update(IdempotencyKey).where(_is(student_id, key)).values(in_flight_until=None))


async def _take(session: AsyncSession, student_id: UUID, key: str, fingerprint: str, now: datetime) -> bool:
    """One statement, so that of any number of requests at once one gets the key."""
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
    return hashlib.sha256(body.model_dump_json().encode()).hexdigest()


def _is(student_id: UUID, key: str) -> ColumnElement[bool]:
    return and_(col(IdempotencyKey.student_id) == student_id, col(IdempotencyKey.key) == key)
