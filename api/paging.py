"""Keyset pages: a cursor names the last row that was seen, so that new rows shift nothing."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import Depends, Query

from api.problems import Kind, Problem

MAX_LIMIT = 100


@dataclass(frozen=True)
class Cursor:
    created_at: datetime
    id: UUID

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.created_at.isoformat()}|{self.id}".encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises `ValueError` for what is no cursor of ours."""
        padded = text + "=" * (-len(text) % 4)
        try:
            created_at, _, row_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition("|")
        except (binascii.Error, UnicodeError) as error:
            raise ValueError("not base64") from error
        at = datetime.fromisoformat(created_at)
        if at.tzinfo is None:
            raise ValueError("a time without a zone")
        return cls(created_at=at, id=UUID(row_id))


@dataclass(frozen=True)
class Page:
    limit: int
    after: Cursor | None


async def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many to give at most.")] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")] = None,
) -> Page:
    try:
        return Page(limit=limit, after=Cursor.read(cursor) if cursor is not None else None)
    except ValueError as error:
        raise Problem(Kind.CURSOR_UNKNOWN, "Send a next_cursor as it was given, or none.") from error


AskedPage = Annotated[Page, Depends(_page)]
