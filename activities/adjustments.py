"""The activity of the Adjustment workflow: previews or posts a correction of the ledger, and settles its drifts."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.booking import payment_records
from activities.database import attention, audit, ledger
from activities.database.transactions import transaction
from activities.reconciliation import amounts
from models.domain import postings
from models.domain.actors import Subject
from models.domain.adjustments import AdjustmentView, RecordAdjustment, adjustment, balance_adjustment
from models.domain.ids import ledger_id
from models.domain.ledger import Entry, Posting, PostingKind
from models.domain.messages import Channel
from models.domain.money import Money
from models.domain.reconciliation import Book, DriftKind
from models.domain.states import HOLDS_SLOT
from models.tables.audit import AuditEvent, event_about
from models.tables.bookings import BookingRequest
from models.tables.ledger import LedgerEntry
from models.tables.payments import Payment
from models.tables.people import Instructor
from models.tables.reconciliation import Drift


class AdjustmentActivities:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def record_adjustment(self, message: RecordAdjustment) -> AdjustmentView:
        """Post what differs, with its effect on the payment, the session and the payout. Safe to repeat."""
        async with transaction(self._engine) as session:
            if posted := await _posted_before(session, message):
                return posted
            if message.order.instructor_id:
                return await _adjust_balance(session, message, message.order.instructor_id)
            assert message.order.booking_id
            return await _adjust_booking(session, message, message.order.booking_id)


_NOTHING_DIFFERS = "The ledger is what Stripe has by now. The next reconciliation resolves the drift."
_CHANGED = "The ledger has changed meanwhile; ask again."
_NOT_OF_BOOKING = "The drift is not an open one of this booking."
_NOT_OF_INSTRUCTOR = "The drift is not an open one of this instructor's balance."


async def _adjust_booking(session: AsyncSession, message: RecordAdjustment, booking_id: UUID) -> AdjustmentView:
    """The payment's row is locked, so nothing is posted between the check of the ledger and the correction.

    Of a booking that was deleted, the payment is all that is left.
    """
    booking = await session.get(BookingRequest, booking_id, with_for_update=True)
    payment = await session.get(Payment, booking_id, with_for_update=True)
    drifts = await _open_drifts(session, DriftKind.BOOKING, col(Drift.booking_id) == booking_id)
    if payment is None:
        return AdjustmentView(refusal=_NOT_OF_BOOKING)
    if refusal := await _refusal_of_booking(session, booking, payment, drifts, message):
        return AdjustmentView(refusal=refusal)
    instructor_id = booking.instructor_id if booking else await _former_instructor(session, booking_id)
    fee = Money(amount_minor=payment.platform_fee_minor, currency=payment.currency)
    owed = await ledger.owed_to_student(session, booking_id, payment.currency)
    parties = postings.Parties(booking_id=booking_id, instructor_id=instructor_id)
    adjusted = adjustment(parties, _subject(message), message.differences, fee, owed)
    if await _post(session, message, adjusted.posting, drifts) and booking is not None:
        await payment_records.deduct(session, payment, adjusted.borne, message.at)
        await attention.refresh(session, booking, message.at)
    return _view(adjusted.posting, drifts)


async def _refusal_of_booking(
    session: AsyncSession,
    booking: BookingRequest | None,
    payment: Payment,
    drifts: Sequence[Drift],
    message: RecordAdjustment,
) -> str | None:
    if booking is not None and booking.status in HOLDS_SLOT:
        return "The booking is open: its own steps move the money."
    if message.order.drift_id not in {drift.id for drift in drifts}:
        return _NOT_OF_BOOKING
    if not message.differences:
        return _NOTHING_DIFFERS
    ours = await amounts.of_booking(session, payment.booking_id, payment.currency)
    if any(ours.get((each.book, each.ledger.currency), 0) != each.ledger.amount_minor for each in message.differences):
        return _CHANGED
    return None


async def _adjust_balance(session: AsyncSession, message: RecordAdjustment, instructor_id: UUID) -> AdjustmentView:
    """The instructor's row is locked, on which each of their postings depends."""
    await session.get_one(Instructor, instructor_id, with_for_update=True)
    drifts = await _open_drifts(session, DriftKind.BALANCE, col(Drift.instructor_id) == instructor_id)
    if refusal := await _refusal_of_balance(session, instructor_id, drifts, message):
        return AdjustmentView(refusal=refusal)
    adjusted = balance_adjustment(instructor_id, _subject(message), message.differences)
    await _post(session, message, adjusted, drifts)
    return _view(adjusted, drifts)


async def _refusal_of_balance(
    session: AsyncSession, instructor_id: UUID, drifts: Sequence[Drift], message: RecordAdjustment
) -> str | None:
    """A booking's own drift comes first. So does a settlement that Stripe has carried out and the ledger has not."""
    if message.order.drift_id not in {drift.id for drift in drifts}:
        return _NOT_OF_INSTRUCTOR
    if not message.differences:
        return _NOTHING_DIFFERS
    if await _has_drifting_booking(session, instructor_id):
        return "Adjust the drifts of the instructor's bookings first: their transfers are in the balance."
    of_balance = [each for each in message.differences if each.book is Book.CONNECTED_BALANCE]
    ours = await amounts.instructor_balances(session, [instructor_id])
    if any(ours.get((instructor_id, each.ledger.currency), 0) != each.ledger.amount_minor for each in of_balance):
        return _CHANGED
    found = {drift.currency: drift.stripe_minor - drift.ledger_minor for drift in drifts}
    if found != {each.ledger.currency: (each.stripe - each.ledger).amount_minor for each in of_balance}:
        return "The balance differs by another amount than the drift. Start a reconciliation, then ask again."
    return None


async def _open_drifts(session: AsyncSession, kind: DriftKind, is_subject: ColumnElement[bool]) -> Sequence[Drift]:
    is_open = (is_subject, col(Drift.kind) == kind, col(Drift.resolved_at).is_(None))
    return (await session.exec(select(Drift).where(*is_open).order_by(col(Drift.id)).with_for_update())).all()


async def _has_drifting_booking(session: AsyncSession, instructor_id: UUID) -> bool:
    """Also a deleted one: who its instructor was is in the audit row of its reservation."""
    drifting = (
        select(Drift.id)
        .join(AuditEvent, col(AuditEvent.booking_id) == col(Drift.booking_id))
        .where(
            col(Drift.resolved_at).is_(None),
            col(Drift.book) == Book.TRANSFERS,
            col(AuditEvent.action) == "booking.reserved",
            col(AuditEvent.detail)["instructor_id"].astext == str(instructor_id),
        )
    )
    return (await session.exec(drifting)).first() is not None


async def _former_instructor(session: AsyncSession, booking_id: UUID) -> UUID:
    reserved = select(AuditEvent.detail).where(
        col(AuditEvent.booking_id) == booking_id, col(AuditEvent.action) == "booking.reserved"
    )
    return UUID((await session.exec(reserved)).one()["instructor_id"])


async def _posted_before(session: AsyncSession, message: RecordAdjustment) -> AdjustmentView | None:
    """The adjustment, if an earlier attempt has posted it and its answer was lost."""
    id = ledger_id(PostingKind.ADJUSTED, _subject(message))
    of_posting = select(LedgerEntry).where(col(LedgerEntry.transaction_id) == id).order_by(col(LedgerEntry.line))
    lines = (await session.exec(of_posting)).all()
    if not lines:
        return None
    named = await session.get_one(Drift, message.order.drift_id)
    settled = select(Drift.id).where(
        col(Drift.adjusted_at) == message.at,
        col(Drift.kind) == named.kind,
        func.coalesce(Drift.booking_id, Drift.instructor_id) == (named.booking_id or named.instructor_id),
    )
    return AdjustmentView(
        lines=tuple(
            Entry(account=line.account, amount=Money(amount_minor=line.amount_minor, currency=line.currency))
            for line in lines
        ),
        drift_ids=tuple((await session.exec(settled.order_by(col(Drift.id)))).all()),
    )


def _subject(message: RecordAdjustment) -> str:
    return f"{message.order.drift_id}/{message.at.isoformat()}"


def _view(adjusted: Posting, drifts: Sequence[Drift]) -> AdjustmentView:
    return AdjustmentView(lines=adjusted.entries, drift_ids=tuple(drift.id for drift in drifts))


async def _post(session: AsyncSession, message: RecordAdjustment, adjusted: Posting, drifts: Sequence[Drift]) -> bool:
    """Post it and resolve the drifts. Returns False for a preview, and if it is posted already."""
    if message.order.is_preview or not await audit.append(session, _event(message, adjusted, drifts)):
        return False
    await ledger.post(session, message.at, adjusted)
    for drift in drifts:
        drift.resolved_at = message.at
        drift.adjusted_at = message.at
    return True


def _event(message: RecordAdjustment, adjusted: Posting, drifts: Sequence[Drift]) -> AuditEvent:
    lines = [{"account": entry.account, **entry.amount.model_dump()} for entry in adjusted.entries]
    detail = {"drift_ids": [str(drift.id) for drift in drifts], "lines": lines}
    if adjusted.booking_id:
        subject, id, action = Subject.BOOKING, adjusted.booking_id, "booking.adjusted"
    else:
        subject, id, action = Subject.INSTRUCTOR, adjusted.instructor_id, "instructor.balance_adjusted"
    return event_about(
        subject, id, action, message.order.actor, Channel.API, message.at, detail, occasion=adjusted.subject
    )
