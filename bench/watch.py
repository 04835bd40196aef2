"""Sees in Postgres when bookings have come to a state: one query for all of them, so that looking costs little."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.domain.states import BookingStatus, PaymentStatus
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment

_LOOK_EVERY_SECONDS: Final = 0.02

Question = Callable[[Collection[UUID]], SelectOfScalar[UUID]]
"""Those of the given bookings that have come to the state."""


def held(booking_ids: Collection[UUID]) -> SelectOfScalar[UUID]:
    """Their money is held, and the instructor can decide."""
    return select(Payment.booking_id).where(
        col(Payment.booking_id).in_(booking_ids), Payment.status == PaymentStatus.PENDING
    )


def accepted(booking_ids: Collection[UUID]) -> SelectOfScalar[UUID]:
    return select(BookingRequest.id).where(
        col(BookingRequest.id).in_(booking_ids), BookingRequest.status == BookingStatus.ACCEPTED
    )


class Watch:
    def __init__(self, session: AsyncSession, question: Question) -> None:
        self._session = session
        self._question = question
        self._waited_for: dict[UUID, asyncio.Event] = {}

    async def until(self, booking_id: UUID) -> None:
        """Wait until the booking has come to the state."""
        await self._waited_for.setdefault(booking_id, asyncio.Event()).wait()

    async def look(self) -> None:
        """Look again and again, for ever."""
        while True:
            if self._waited_for:
                for booking_id in await self._session.exec(self._question(list(self._waited_for))):
                    self._waited_for.pop(booking_id).set()
            await asyncio.sleep(_LOOK_EVERY_SECONDS)


@asynccontextmanager
async def watching(engine: AsyncEngine, question: Question) -> AsyncIterator[Watch]:
    # Each look is one statement, which needs no BEGIN and ROLLBACK around it.
    async with AsyncSession(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        watch = Watch(session, question)
        looking = asyncio.create_task(watch.look())
        try:
            yield watch
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
