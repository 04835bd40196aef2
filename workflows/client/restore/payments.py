"""Both Postgres and Temporal were restored: bookings that are newer than both backups are known to Stripe alone."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from activities.booking.payment_plans import Plan
from activities.database.transactions import transaction
from activities.gateways import CheckoutSeen, RestoreGateway
from models.domain.payments import HoldPhase
from models.domain.policy import PaymentPlan
from models.tables.audit import AuditEvent

_BATCH_SIZE = 100


class Fate(StrEnum):
    """What becomes of the payment of a booking that nobody knows any more."""

    RELEASABLE = "secured or open: it can be released"
    RELEASED = "released: nothing is kept, and the Checkout page is closed"
    CAPTURED = "captured: decide in Stripe's dashboard"
    PROCESSING = "processing at Stripe: look again in a few days"


class PaymentRestore:
    def __init__(self, engine: AsyncEngine, gateway: RestoreGateway, plans: Mapping[PaymentPlan, Plan]) -> None:
        self._engine = engine
        self._gateway = gateway
        self._plans = plans

    async def unknown(self, since: datetime, *, is_releasing: bool) -> AsyncIterator[tuple[CheckoutSeen, Fate]]:
        """The payments that Checkout has opened since then for bookings without any record, and their fate."""
        batch: list[CheckoutSeen] = []
        async for seen in self._gateway.checkouts(since):
            batch.append(seen)
            if len(batch) == _BATCH_SIZE:
                async for found in self._look_up(batch, is_releasing):
                    yield found
                batch = []
        async for found in self._look_up(batch, is_releasing):
            yield found

    async def _look_up(self, batch: list[CheckoutSeen], is_releasing: bool) -> AsyncIterator[tuple[CheckoutSeen, Fate]]:
        known = await self._known({each.booking_id for each in batch})
        for seen in batch:
            if seen.booking_id in known:
                continue
            plan = self._plans[seen.ref.plan]
            payment = await plan.look_up(seen.ref, None)
            if payment.phase is HoldPhase.PROCESSING:
                yield seen, Fate.PROCESSING
            elif payment.phase is HoldPhase.CAPTURED and not payment.is_returned:
                yield seen, Fate.CAPTURED
            elif payment.phase in (HoldPhase.OPEN, HoldPhase.HELD) and not payment.is_returned:
                if is_releasing:
                    await plan.release(seen.ref, None)
                yield seen, Fate.RELEASED if is_releasing else Fate.RELEASABLE

    async def _known(self, booking_ids: set[UUID]) -> set[UUID]:
        """Of a booking that was deleted, the audit trail is left."""
        query = select(AuditEvent.booking_id).where(col(AuditEvent.booking_id).in_(booking_ids)).distinct()
        async with transaction(self._engine) as session:
            return {id for id in await session.exec(query) if id}
