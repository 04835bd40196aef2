"""Holding a session at another slot of the same offering: one side proposes, the other agrees, nobody pays again."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from api.bookings import presenters, queries, reschedule_proposals
from api.bookings.decision_handler import DECISION_RESPONSES, WithDecider
from api.bookings.schemas import Booking
from api.http.auth import AsEitherSide
from api.http.database import WithDatabase
from api.http.problems import Kind, declared
from models.domain.messages import Channel, Reschedule
from workflows.booking.workflow import BookingWorkflow

router = APIRouter(prefix="/v1/bookings/{booking_id}/reschedule", tags=["bookings"])

_PROPOSING = declared(
    Kind.NOT_SIGNED_IN,
    Kind.WRONG_ROLE,
    Kind.NOT_FOUND,
    Kind.SLOT_TAKEN,
    Kind.NOT_POSSIBLE_NOW,
    Kind.BOOKING_CLOSED,
    Kind.BOOKING_DELETED,
    Kind.CONTENT_TOO_LARGE,
    Kind.REQUEST_INVALID,
    Kind.INTERNAL,
    Kind.UNAVAILABLE,
)


class RescheduleRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    slot_id: UUID


@router.post("", operation_id="proposeReschedule", responses=_PROPOSING)
async def propose(booking_id: UUID, wanted: RescheduleRequest, caller: AsEitherSide, database: WithDatabase) -> Booking:
    """Propose another open slot of the same offering. It takes the place of an open proposal, whoever made that."""
    now = datetime.now(UTC)
    async with database.writing() as session:
        record = await queries.existing_booking(session, booking_id, caller)
        await reschedule_proposals.propose(session, record, wanted.slot_id, caller, now)
    async with database.reading() as session:
        return presenters.booking(await queries.existing_booking(session, booking_id, caller), caller)


@router.post(
    "/accept", operation_id="acceptReschedule", response_model=Booking, responses=DECISION_RESPONSES | _PROPOSING
)
async def accept(
    booking_id: UUID, agreed: RescheduleRequest, caller: AsEitherSide, database: WithDatabase, decider: WithDecider
) -> Booking:
    """Agree to the other side's proposal of that slot: the session is held there, and the deadlines move with it."""
    record = await decider.find(booking_id, caller)
    async with database.reading() as session:
        proposal = await reschedule_proposals.to_accept(session, record, agreed.slot_id, caller)
    decision = Reschedule(
        actor=caller.actor,
        channel=Channel.API,
        proposal_id=proposal.id,
        slot_id=proposal.slot_id,
        starts_at=proposal.starts_at,
        ends_at=proposal.ends_at,
        from_starts_at=record.request.starts_at,
    )
    return await decider.decide(booking_id, caller, BookingWorkflow.reschedule, decision)


@router.post("/decline", operation_id="declineReschedule", responses=_PROPOSING)
async def decline(booking_id: UUID, caller: AsEitherSide, database: WithDatabase) -> Booking:
    """Turn the other side's proposal down, or take one's own back. The booking stays as it is."""
    async with database.writing() as session:
        record = await queries.existing_booking(session, booking_id, caller)
        await reschedule_proposals.decline(session, record, caller, datetime.now(UTC))
    async with database.reading() as session:
        return presenters.booking(await queries.existing_booking(session, booking_id, caller), caller)
