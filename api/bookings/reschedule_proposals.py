"""Reschedule proposals in Postgres. The checks here only fail early: the booking's workflow decides."""

from datetime import datetime
from uuid import UUID

from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.bookings.queries import BookingRecord
from api.catalogue.availability import taken
from api.http.auth import Caller
from api.http.problems import Kind, Problem
from models.domain.actors import SignUpRole, Subject
from models.domain.ids import notification_id
from models.domain.notifications import ABOUT_PROPOSALS, Recipient
from models.domain.payment_plans import expected_end
from models.domain.policy import BookingPolicy, PaymentPlan, latest_end
from models.domain.proposals import ProposalStatus
from models.tables.audit import event_about
from models.tables.bookings import RescheduleProposal
from models.tables.catalogue import Offering, Slot
from models.tables.outbox import OutboxMessage


async def propose(
    session: AsyncSession, record: BookingRecord, id: UUID, slot_id: UUID, caller: Caller, now: datetime
) -> None:
    """Save a proposal. Raises a `Problem` if the session cannot be moved to this slot."""
    _check_movable(record, now)
    slot = await _bookable_slot(session, record, slot_id, now)
    # Locking the booking's row serializes concurrent proposals.
    await session.refresh(record.request, with_for_update=True)
    await _withdraw_open(session, record.request.id, now)
    proposal = RescheduleProposal(
        id=id,
        booking_id=record.request.id,
        slot_id=slot.id,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        proposed_by=_side(caller),
        status=ProposalStatus.OPEN,
        created_at=now,
    )
    session.add(proposal)
    _record(session, record, proposal, "booking.reschedule_proposed", caller, now)


async def acceptable(session: AsyncSession, record: BookingRecord, slot_id: UUID, caller: Caller) -> RescheduleProposal:
    """The other side's proposal of this slot: open, or already accepted if this is a retry.

    Raises the 409 `Problem` if there is none, or if it is the caller's own.
    """
    query = (
        select(RescheduleProposal, Slot.withdrawn_at)
        .join(Slot)
        .where(
            col(RescheduleProposal.booking_id) == record.request.id,
            col(RescheduleProposal.slot_id) == slot_id,
            col(RescheduleProposal.status).in_((ProposalStatus.OPEN, ProposalStatus.ACCEPTED)),
        )
        .order_by(col(RescheduleProposal.created_at).desc())
    )
    found = (await session.exec(query)).first()
    status = record.request.status
    if found is None:
        raise Problem(Kind.NOT_POSSIBLE_NOW, "There is no open proposal for this slot.", booking_status=status)
    proposal, withdrawn_at = found
    if proposal.proposed_by is _side(caller):
        sentence = "This is your own proposal; the other side has to accept it."
        raise Problem(Kind.NOT_POSSIBLE_NOW, sentence, booking_status=status)
    if proposal.status is ProposalStatus.OPEN and withdrawn_at is not None:
        sentence = "The slot has been withdrawn; propose another one."
        raise Problem(Kind.NOT_POSSIBLE_NOW, sentence, booking_status=status)
    return proposal


async def decline(session: AsyncSession, record: BookingRecord, caller: Caller, now: datetime) -> None:
    """Decline the open proposal, or withdraw the caller's own.

    Raises the 409 `Problem` if there is none, or if it is accepted at the same moment.
    """
    proposal = record.proposal
    if proposal is not None:
        # The booking first, as everywhere else, and then the proposal, which an acceptance may have closed meanwhile.
        await session.refresh(record.request, with_for_update=True)
        await session.refresh(proposal, with_for_update=True)
    if proposal is None or proposal.status is not ProposalStatus.OPEN:
        raise Problem(Kind.NOT_POSSIBLE_NOW, "There is no open proposal.", booking_status=record.request.status)
    is_own = proposal.proposed_by is _side(caller)
    proposal.status = ProposalStatus.WITHDRAWN if is_own else ProposalStatus.DECLINED
    proposal.decided_at = now
    action = "booking.reschedule_withdrawn" if is_own else "booking.reschedule_declined"
    _record(session, record, proposal, action, caller, now)


def _check_movable(record: BookingRecord, now: datetime) -> None:
    request = record.request
    if record.is_closed:
        raise Problem(
            Kind.BOOKING_CLOSED, "It has ended and can no longer be rescheduled.", booking_status=request.status
        )
    if record.payment is None or request.needs_attention:
        raise Problem(Kind.NOT_POSSIBLE_NOW, "Only a paid booking can be rescheduled.", booking_status=request.status)
    if request.starts_at <= now:
        raise Problem(
            Kind.NOT_POSSIBLE_NOW,
            "The session has started and can no longer be rescheduled.",
            booking_status=request.status,
        )


async def _bookable_slot(session: AsyncSession, record: BookingRecord, slot_id: UUID, now: datetime) -> Slot:
    """The slot. Raises the 409 `Problem` if the session cannot be moved to it."""
    request = record.request
    query = (
        select(Slot, taken(but_for=request.id))
        .join(Offering, col(Offering.id) == col(Slot.offering_id))
        .where(col(Slot.id) == slot_id, col(Slot.offering_id) == request.offering_id, col(Slot.withdrawn_at).is_(None))
    )
    found = (await session.exec(query)).first()
    if found is None or slot_id == request.slot_id:
        raise Problem(Kind.NOT_POSSIBLE_NOW, "Choose another slot of the same offering.", booking_status=request.status)
    slot, is_taken = found
    if is_taken:
        raise Problem(Kind.SLOT_TAKEN, "The instructor has another booking at that time. Choose another slot.")
    if slot.starts_at <= now:
        raise Problem(
            Kind.NOT_POSSIBLE_NOW, "The slot has already started. Choose a later slot.", booking_status=request.status
        )
    latest = _latest_end(record, now)
    if latest is not None and slot.ends_at > latest:
        sentence = (
            f"The payment can be held for sessions that end by {latest:%Y-%m-%dT%H:%M:%SZ}. Choose an earlier slot."
        )
        raise Problem(Kind.NOT_POSSIBLE_NOW, sentence, booking_status=request.status)
    return slot


def _latest_end(record: BookingRecord, now: datetime) -> datetime | None:
    """How far the session can be moved. Beyond a hold, the student pays again, and is charged then."""
    payment = record.payment
    if payment is None:
        return None
    deadlines = BookingPolicy.model_validate(record.request.policy).deadlines
    hold_ends_at = payment.hold_ends_at or expected_end(payment.plan, deadlines, payment.created_at)
    if payment.plan is PaymentPlan.HOLD:
        hold_ends_at = max(hold_ends_at, expected_end(PaymentPlan.CHARGE_THEN_TRANSFER, deadlines, now))
    return latest_end(deadlines, hold_ends_at)


def _side(caller: Caller) -> SignUpRole:
    return SignUpRole(caller.role.value)


async def _withdraw_open(session: AsyncSession, booking_id: UUID, now: datetime) -> None:
    await session.exec(
        update(RescheduleProposal)
        .where(col(RescheduleProposal.booking_id) == booking_id, col(RescheduleProposal.status) == ProposalStatus.OPEN)
        .values(status=ProposalStatus.WITHDRAWN, decided_at=now)
    )


def _record(
    session: AsyncSession,
    record: BookingRecord,
    proposal: RescheduleProposal,
    action: str,
    caller: Caller,
    now: datetime,
) -> None:
    """Add the audit row, and the mails to both sides."""
    detail, occasion = {"slot_id": str(proposal.slot_id)}, str(proposal.id)
    session.add(
        event_about(
            Subject.BOOKING, proposal.booking_id, action, caller.actor, caller.channel, now, detail, occasion=occasion
        )
    )
    facts = {
        "proposal_id": str(proposal.id),
        "proposed_by": proposal.proposed_by,
        "proposed_starts_at": proposal.starts_at.isoformat(),
    }
    people = {Recipient.STUDENT: record.request.student_id, Recipient.INSTRUCTOR: record.request.instructor_id}
    session.add_all(
        OutboxMessage(
            id=notification_id(proposal.booking_id, kind, people[recipient], occasion),
            booking_id=proposal.booking_id,
            kind=kind,
            recipient_role=recipient,
            recipient_id=people[recipient],
            facts=facts,
            due_at=now,
            next_attempt_at=now,
            created_at=now,
        )
        for kind, recipient in ABOUT_PROPOSALS[proposal.status]
    )
