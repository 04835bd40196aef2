"""Keyset pagination: a cursor names the last row of a page, so that new rows do not shift the next one."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Self, TypeVar
from uuid import UUID

from fastapi import Depends, Query

from api.http.problems import Kind, Problem

MAX_LIMIT = 100

R = TypeVar("R")


@dataclass(frozen=True)
class Cursor:
    """A position in a list: the time it is sorted by (a booking's creation, a slot's start), and the row's id."""

    at: datetime
    id: UUID

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.at.isoformat()}|{self.id}".encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises `ValueError` for anything that `__str__` did not produce."""
        padded = text + "=" * (-len(text) % 4)
        try:
            time, _, row_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition("|")
        except (binascii.Error, UnicodeError) as error:
            raise ValueError("not base64") from error
        at = datetime.fromisoformat(time)
        if at.utcoffset() != timedelta(0):
            raise ValueError("a time that is not in UTC")
        return cls(at=at, id=UUID(row_id))


@dataclass(frozen=True)
class Page:
    limit: int
    after: Cursor | None


async def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Maximum number of items to return.")] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="`next_cursor` of the previous page.")] = None,
) -> Page:
    try:
        return Page(limit=limit, after=Cursor.read(cursor) if cursor is not None else None)
    except ValueError as error:
        raise Problem(
            Kind.CURSOR_UNKNOWN, "Send the `next_cursor` of the previous page, or none for the first page."
        ) from error


def next_cursor(found: Sequence[R], limit: int, position: Callable[[R], tuple[datetime, UUID]]) -> str | None:
    """The cursor after a page of `limit` rows; `None` on the last page. Query one row more than `limit`."""
    return str(Cursor(*position(found[limit - 1]))) if len(found) > limit else None


PageParams = Annotated[Page, Depends(_page)]
