"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07).

What a request starts has an id that is derived from the caller and the key: a booking's or an offering's id, or a
decision's update id. So a repeated request joins what the first one started, also while that is still in progress.
Postgres keeps the id with a fingerprint of the body, to refuse the same key with another body. A body is all that is
compared: a request without one needs no row.
"""

import hashlib
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Header
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.problems import Kind, Problem
from models.tables.credentials import IdempotencyKey

_HEADER = "Idempotency-Key"
_PATTERN = r"^[\x20-\x7e]{1,255}$"

RequiredKey = Annotated[
    str,
    Header(
        alias=_HEADER,
        pattern=_PATTERN,
        description="Makes the booking idempotent: requests with the same key return the same booking.",
    ),
]
OptionalKey = Annotated[
    str | None,
    Header(
        alias=_HEADER,
        pattern=_PATTERN,
        description="Makes the request idempotent: sent again with its key, it takes effect once.",
    ),
]


async def is_repeated(session: AsyncSession, id: UUID, body: BaseModel | None) -> bool:
    """Whether a request with this id was registered before. Raises the 422 `Problem` if it had another body."""
    known = await session.get(IdempotencyKey, id)
    if known is not None and known.fingerprint != _fingerprint(body):
        raise Problem(Kind.IDEMPOTENCY_KEY_REUSED, "The key came with another request. A new request needs a new one.")
    return known is not None


async def register(session: AsyncSession, id: UUID, body: BaseModel | None, now: datetime) -> bool:
    """Register a request before it starts anything. Returns whether it is the first; concurrent ones wait for it.

    Raises the 422 `Problem` if the id was registered with another body, whatever became of that request.
    """
    row = IdempotencyKey(id=id, fingerprint=_fingerprint(body), created_at=now)
    inserted = await session.exec(
        insert(IdempotencyKey).values(row.model_dump()).on_conflict_do_nothing().returning(col(IdempotencyKey.id))
    )
    return inserted.first() is not None or not await is_repeated(session, id, body)


def _fingerprint(body: BaseModel | None) -> str:
    text = body.model_dump_json(exclude_defaults=True) if body else ""
    return hashlib.sha256(text.encode()).hexdigest()
