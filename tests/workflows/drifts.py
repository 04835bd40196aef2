"""A drift of a booking, as a reconciliation would have found it."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import PLATFORM
from models.domain.reconciliation import ATTENTION_PREFIX, Book, DriftKind
from models.tables.reconciliation import Drift, Reconciliation

_DETAIL = "what a test says"
DRIFT_REASON = ATTENTION_PREFIX + _DETAIL


async def add_drift(engine: AsyncEngine, booking_id: UUID) -> None:
    now = datetime.now(UTC)
    async with AsyncSession(engine) as session, session.begin():
        run = Reconciliation(id=uuid4(), by_role=PLATFORM.role, started_at=now)
        session.add(run)
        await session.flush()
        session.add(
            Drift(
                id=uuid4(),
                kind=DriftKind.WORKFLOW,
                booking_id=booking_id,
                book=Book.CARD_HOLDS,
                currency="usd",
                ledger_minor=0,
                stripe_minor=0,
                detail=_DETAIL,
                reconciliation_id=run.id,
                found_at=now,
                seen_at=now,
            )
        )
