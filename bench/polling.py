"""Polls Postgres until bookings reach a state, with one query for all of them, so that polling costs little."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.domain.states import BookingStatus, PaymentStatus
from models.tables.bookings import BookingRequest
from models.tables.outbox import OutboxMessage
from models.tables.payments import Payment

_POLL_SECONDS: Final = 0.02

StateQuery = Callable[[Collection[UUID]], SelectOfScalar[UUID]]
"""Selects those of the bookings that have reached the state."""


def held(booking_ids: Collection[UUID]) -> SelectOfScalar[UUID]:
    """Bookings whose money is held, so that the instructor can decide."""
    return select(Payment.booking_id).where(
        col(Payment.booking_id).in_(booking_ids), Payment.status == PaymentStatus.PENDING
    )


def accepted(booking_ids: Collection[UUID]) -> SelectOfScalar[UUID]:
    return select(BookingRequest.id).where(
        col(BookingRequest.id).in_(booking_ids), BookingRequest.status == BookingStatus.ACCEPTED
    )


class BookingPoller:
    def __init__(self, session: AsyncSession, query: StateQuery) -> None:
        self._session = session
        self._query = query
        self._reached: dict[UUID, asyncio.Event] = {}

    async def wait_for(self, booking_id: UUID) -> None:
        """Wait until the booking has reached the state."""
        await self._reached.setdefault(booking_id, asyncio.Event()).wait()

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            if self._reached:
                for booking_id in await self._session.exec(self._query(list(self._reached))):
                    self._reached.pop(booking_id).set()
            await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def polling(engine: AsyncEngine, query: StateQuery) -> AsyncIterator[BookingPoller]:
    # Each poll is one statement, which needs no transaction.
    async with AsyncSession(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        poller = BookingPoller(session, query)
        running = asyncio.create_task(poller.run())
        try:
            yield poller
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def wait_for_mails(engine: AsyncEngine, booking_ids: Collection[UUID]) -> None:
    """Wait until every mail about the bookings that is due has been sent. The last ones carry the receipts."""
    is_open = (
        col(OutboxMessage.booking_id).in_(booking_ids),
        col(OutboxMessage.sent_at).is_(None),
        col(OutboxMessage.gave_up_at).is_(None),
    )
    async with AsyncSession(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        while True:
            is_due = col(OutboxMessage.due_at) <= datetime.now(UTC)
            if not (await session.exec(select(func.count()).where(*is_open, is_due))).one():
                return
            await asyncio.sleep(_POLL_SECONDS)
