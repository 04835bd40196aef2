"""Activities of the Refund workflow: calls to Stripe, and the records. All of them are safe to repeat."""

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities import external_refunds, refund_records
from activities.booking import payment_records
from activities.booking.payment_records import NotRecordedYet, advance_unless_there
from activities.database import attention, audit, ledger
from activities.database.transactions import transaction
from activities.gateways import RefundGateway
from activities.idempotency import with_idempotency_key
from models.domain import postings
from models.domain.errors import Declined
from models.domain.ids import refund_key
from models.domain.messages import Channel
from models.domain.refunds import (
    NOT_OWED,
    AdoptRefund,
    RecordRefund,
    RecordRefundOrder,
    RecordRefundRetry,
    RecordRefusedRefund,
    RefundAtStripe,
    RefundResult,
    RefundSnapshot,
)
from models.domain.states import PaymentStatus, RefundStatus
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment
from models.tables.refunds import Refund


class RefundActivities:
    def __init__(self, engine: AsyncEngine, gateway: RefundGateway) -> None:
        self._engine = engine
        self._gateway = gateway

    @activity.defn
    async def reserve_refund(self, message: RecordRefundOrder) -> RefundSnapshot | None:
        """Reserve the refund's amount until Stripe has answered. Returns `None` if no such refund was ordered.

        The payment's row is locked, so concurrent orders are checked one after another, each against what is left.
        """
        async with transaction(self._engine) as session:
            row = await session.get(Refund, message.refund_id)
            if row is None:
                return None
            payment = await session.get_one(Payment, row.booking_id, with_for_update=True)
            await session.refresh(row, with_for_update=True)
            if row.status is RefundStatus.REQUESTED:
                await refund_records.reserve(session, row, payment, message)
            return await refund_records.snapshot(session, row, payment)

    @activity.defn
    async def create_refund(self, snapshot: RefundSnapshot) -> RefundResult:
        """Create the refund, find it if an answer was lost, or look it up if it was answered before a reset."""
        async with transaction(self._engine) as session:
            row = await session.get_one(Refund, snapshot.refund_id)
        try:
            if not refund_records.is_due(row) or row.tries != snapshot.tries:
                if row.stripe_refund_id is None:
                    return RefundResult(refused=row.failure_reason)
                return RefundResult(refund=await self._gateway.look_up_refund(row.stripe_refund_id))
            found = await self._gateway.find_refund(snapshot)
            key = refund_key(snapshot.refund_id, snapshot.tries)
            created = (
                found
                if found is not None
                else await with_idempotency_key(key, True, lambda key: self._gateway.create_refund(snapshot, key=key))
            )
        except Declined as refused:
            return RefundResult(refused=refused.code)
        if snapshot.share_minor and created.status is not RefundStatus.FAILED:
            created = created.model_copy(update={"reversed_minor": await self._reverse_share(snapshot, key)})
        return RefundResult(refund=created)

    async def _reverse_share(self, snapshot: RefundSnapshot, key: str) -> int:
        """Zero if the instructor's balance does not cover it: then the platform bears it."""
        try:
            return await with_idempotency_key(
                f"{key}:reverse", True, lambda key: self._gateway.reverse_refunded_share(snapshot, key=key)
            )
        except Declined:
            return 0

    @activity.defn
    async def look_up_refund(self, stripe_refund_id: str) -> RefundAtStripe:
        return await self._gateway.look_up_refund(stripe_refund_id)

    @activity.defn
    async def adopt_refund(self, message: AdoptRefund) -> RefundSnapshot | None:
        """Record a refund that was created at Stripe as a reserved one. Returns `None` if there is nothing to adopt.

        That is so for a charge of no booking, and for a refund that is recorded already: ordered here, or part of the
        booking's ending, unless the student's bank has returned it. Raises `NotRecordedYet` until the booking has
        ended, and while another refund of it is in progress.
        """
        external = await self._gateway.look_up_external_refund(message.stripe_refund_id)
        async with transaction(self._engine) as session:
            payment = await external_refunds.payment_of(session, external.payment_intent_id, lock=True)
            if payment is None:
                return None
            row = await session.get(Refund, message.refund_id)
            if row is None:
                if payment.status is PaymentStatus.PENDING or await payment_records.has_reserved_refund(
                    session, payment.booking_id
                ):
                    raise NotRecordedYet("the booking's money is still being moved")
                recorded = await external_refunds.recorded_as(
                    session, payment, message.stripe_refund_id, external.labelled
                )
                is_returned = recorded == "ending" and external.refund.status is RefundStatus.FAILED
                is_beyond = external.amount.amount_minor > payment.captured_minor
                if not is_returned and (recorded or not external.moves_money or is_beyond):
                    return None
                row = external_refunds.adopted(message, payment.booking_id, external, is_returned)
                session.add(row)
            return await refund_records.snapshot(session, row, payment)

    @activity.defn
    async def record_refund(self, message: RecordRefund) -> RefundSnapshot:
        """Record the refund's state at Stripe: that it exists, or how its status has changed since."""
        snapshot, refund = message.case, message.refund
        async with transaction(self._engine) as session:
            booking = await session.get_one(BookingRequest, snapshot.parties.booking_id, with_for_update=True)
            payment = await session.get_one(Payment, booking.id, with_for_update=True)
            row = await session.get_one(Refund, snapshot.refund_id, with_for_update=True)
            if (row.status, row.stripe_refund_id) != (refund.status, refund.stripe_refund_id):
                await refund_records.update(session, booking, payment, row, message)
            # After a reset, an older state may come again.
            if row.status is refund.status and row.pending_reason != refund.pending_reason:
                row.pending_reason, row.updated_at = refund.pending_reason, message.at
            if refund.is_sent and row.stripe_refund_id == refund.stripe_refund_id:
                if refund.stripe_refund_id not in payment.ending_refund_ids:
                    sent = postings.refund_sent(snapshot.parties, refund.stripe_refund_id, snapshot.amount)
                    await ledger.post(session, message.at, sent)
                if refund.status is RefundStatus.FAILED:
                    returned = postings.refund_failed(snapshot.parties, refund.stripe_refund_id, snapshot.amount)
                    await ledger.post(session, message.at, returned)
            await attention.refresh(session, booking, message.at)
            return await refund_records.snapshot(session, row, payment)

    @activity.defn
    async def record_refused_refund(self, message: RecordRefusedRefund) -> RefundSnapshot:
        """Stripe declined the refund. If the student is owed it already, it stays owed and an operator has to act."""
        snapshot = message.case
        async with transaction(self._engine) as session:
            booking = await session.get_one(BookingRequest, snapshot.parties.booking_id, with_for_update=True)
            payment = await session.get_one(Payment, booking.id, with_for_update=True)
            row = await session.get_one(Refund, snapshot.refund_id, with_for_update=True)
            detail = {"refund_id": str(row.id), "code": message.refused}
            refused = refund_records.event(row, "booking.refund_refused", message, detail, f"{row.id}/{snapshot.tries}")
            if await audit.append(session, refused):
                row.failure_reason = f"Stripe refuses the refund: {message.refused}."
                if row.status is RefundStatus.RESERVED:
                    row.status = advance_unless_there(row.status, RefundStatus.REFUSED)
                row.updated_at = message.at
                await attention.refresh(session, booking, message.at)
            # Of a failed refund too: what an operator retried has not changed.
            return (await refund_records.snapshot(session, row, payment)).model_copy(
                update={"refusal": row.failure_reason}
            )

    @activity.defn
    async def record_refund_retry(self, message: RecordRefundRetry) -> RefundSnapshot:
        """An operator retries a failed refund, if the student is still owed it. Otherwise `tries` stays."""
        snapshot = message.case
        async with transaction(self._engine) as session:
            booking = await session.get_one(BookingRequest, snapshot.parties.booking_id, with_for_update=True)
            payment = await session.get_one(Payment, booking.id, with_for_update=True)
            row = await session.get_one(Refund, snapshot.refund_id, with_for_update=True)
            owed = await ledger.owed_to_student(session, row.booking_id, row.currency)
            if row.tries == snapshot.tries and owed < snapshot.amount:
                return (await refund_records.snapshot(session, row, payment)).model_copy(update={"refusal": NOT_OWED})
            occasion = f"{row.id}/{message.order_id or snapshot.tries}"
            retried = refund_records.event(
                row, "booking.refund_retried", message, {"refund_id": str(row.id)}, occasion, message.actor, Channel.API
            )
            if await audit.append(session, retried):
                row.tries = snapshot.tries + 1
                row.failure_reason = None
                row.updated_at = booking.updated_at = message.at
            return await refund_records.snapshot(session, row, payment)
