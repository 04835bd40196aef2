"""Move a session to another slot of the same offering: one side proposes, the other accepts, nobody pays again."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from fastapi import APIRouter

from api.bookings import presenters, queries, reschedule_proposals
from api.bookings.decision_handler import DECISION_RESPONSES, WithDecisionHandler
from api.bookings.schemas import Booking
from api.http.auth import AsEitherSide
from api.http.database import WithDatabase
from api.http.idempotency import OptionalKey, register
from api.http.problems import Kind, problem_responses
from api.http.schema_types import RequestModel
from models.domain import ids
from models.domain.messages import Reschedule
from workflows.booking.workflow import BookingWorkflow

router = APIRouter(prefix="/v1/bookings/{booking_id}/reschedule", tags=["bookings"])

_PROPOSING = problem_responses(
    Kind.NOT_SIGNED_IN,
    Kind.WRONG_ROLE,
    Kind.NOT_FOUND,
    Kind.SLOT_TAKEN,
    Kind.NOT_POSSIBLE_NOW,
    Kind.BOOKING_CLOSED,
    Kind.BOOKING_DELETED,
    Kind.IDEMPOTENCY_KEY_REQUIRED,
    Kind.IDEMPOTENCY_KEY_REUSED,
    Kind.CONTENT_TOO_LARGE,
    Kind.REQUEST_INVALID,
    Kind.INTERNAL,
    Kind.UNAVAILABLE,
)


class RescheduleRequest(RequestModel):
    slot_id: UUID
    """A slot of the same offering."""


@router.post("", operation_id="proposeReschedule", responses=_PROPOSING)
async def propose(
    booking_id: UUID,
    proposed: RescheduleRequest,
    caller: AsEitherSide,
    database: WithDatabase,
    key: OptionalKey = None,
) -> Booking:
    """Propose another open slot of the same offering. It replaces any open proposal, whichever side made it."""
    now = datetime.now(UTC)
    id = ids.creation_id(caller.id, f"proposal for {booking_id}", key) if key else uuid4()
    async with database.writing() as session:
        record = await queries.existing_booking(session, booking_id, caller)
        if not key or await register(session, id, proposed, now):
            await reschedule_proposals.propose(session, record, id, proposed.slot_id, caller, now)
    async with database.reading() as session:
        return presenters.booking(await queries.existing_booking(session, booking_id, caller), caller)


@router.post(
    "/accept", operation_id="acceptReschedule", response_model=Booking, responses=DECISION_RESPONSES | _PROPOSING
)
async def accept(
    booking_id: UUID,
    accepted: RescheduleRequest,
    caller: AsEitherSide,
    database: WithDatabase,
    handler: WithDecisionHandler,
) -> Booking:
    """Accept the other side's proposal of this slot. The session and its deadlines move to it."""
    record = await handler.find(booking_id, caller)
    async with database.reading() as session:
        proposal = await reschedule_proposals.acceptable(session, record, accepted.slot_id, caller)
    decision = Reschedule(
        actor=caller.actor,
        channel=caller.channel,
        proposal_id=proposal.id,
        slot_id=proposal.slot_id,
        starts_at=proposal.starts_at,
        ends_at=proposal.ends_at,
        from_starts_at=record.request.starts_at,
    )
    return await handler.decide(booking_id, caller, BookingWorkflow.reschedule, decision, accepted)


@router.post("/decline", operation_id="declineReschedule", responses=_PROPOSING)
async def decline(booking_id: UUID, caller: AsEitherSide, database: WithDatabase) -> Booking:
    """Decline the other side's proposal, or withdraw your own. The booking does not change."""
    async with database.writing() as session:
        record = await queries.existing_booking(session, booking_id, caller)
        await reschedule_proposals.decline(session, record, caller, datetime.now(UTC))
    async with database.reading() as session:
        return presenters.booking(await queries.existing_booking(session, booking_id, caller), caller)
