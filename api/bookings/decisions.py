"""What student and instructor decide about a booking: its state after the decision, or a clear refusal."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter

from api.bookings import commands
from api.bookings.decision_handler import DECISION_RESPONSES, WithDecider
from api.bookings.schemas import Booking, BookingForOperator, NoShow, Rejection
from api.http.auth import AsAnyRole, AsEitherSide, AsInstructor
from api.http.database import WithDatabase
from models.domain.messages import Approve, Cancel, Channel, Complete, ContestNoShow, Reject, ReportNoShow
from workflows.booking.workflow import BookingWorkflow

router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["decisions"], responses=DECISION_RESPONSES)


@router.post("/approve", operation_id="approveBooking", response_model=Booking)
async def approve(booking_id: UUID, instructor: AsInstructor, decider: WithDecider) -> Booking:
    """The instructor takes the booking: there will be a session."""
    decision = Approve(actor=instructor.actor, channel=Channel.API)
    return await decider.decide(booking_id, instructor, BookingWorkflow.approve, decision)


@router.post("/reject", operation_id="rejectBooking", response_model=Booking)
async def reject(
    booking_id: UUID, rejection: Rejection, instructor: AsInstructor, database: WithDatabase, decider: WithDecider
) -> Booking:
    """The instructor does not take it: the hold is released in full. The student reads the reason."""
    await decider.find(booking_id, instructor)
    # A person's words stay out of the workflow's history, so they are kept before it is asked.
    async with database.writing() as session:
        await commands.keep_rejection_reason(session, booking_id, rejection.reason, instructor.actor, datetime.now(UTC))
    decision = Reject(actor=instructor.actor, channel=Channel.API)
    return await decider.decide(booking_id, instructor, BookingWorkflow.reject, decision)


@router.post("/complete", operation_id="completeBooking", response_model=Booking)
async def complete(booking_id: UUID, instructor: AsInstructor, decider: WithDecider) -> Booking:
    """The session took place: the hold is captured and the instructor's share is theirs."""
    decision = Complete(actor=instructor.actor, channel=Channel.API)
    return await decider.decide(booking_id, instructor, BookingWorkflow.complete, decision)


@router.post("/cancel", operation_id="cancelBooking", response_model=BookingForOperator | Booking)
async def cancel(booking_id: UUID, caller: AsAnyRole, decider: WithDecider) -> Booking:
    """Call it off. What the student gets back follows the booking's policy and who cancels."""
    decision = Cancel(actor=caller.actor, channel=Channel.API)
    return await decider.decide(booking_id, caller, BookingWorkflow.cancel, decision)


@router.post("/no-show", operation_id="reportNoShow", response_model=Booking)
async def report_no_show(booking_id: UUID, no_show: NoShow, caller: AsEitherSide, decider: WithDecider) -> Booking:
    """The other side did not come. They can contest it for a while, before it counts."""
    decision = ReportNoShow(actor=caller.actor, channel=Channel.API, absent=no_show.absent)
    return await decider.decide(booking_id, caller, BookingWorkflow.report_no_show, decision)


@router.post("/no-show/contest", operation_id="contestNoShow", response_model=Booking)
async def contest_no_show(booking_id: UUID, caller: AsEitherSide, decider: WithDecider) -> Booking:
    """Who is said to have been absent was there: the meeting's record decides, or an operator."""
    decision = ContestNoShow(actor=caller.actor, channel=Channel.API)
    return await decider.decide(booking_id, caller, BookingWorkflow.contest_no_show, decision)
