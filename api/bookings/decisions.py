"""Decisions of students and instructors. Each returns the booking after the decision, or a 409 with the reason.

Free text stays out of the workflow's history: it is saved before the update is sent, and shown once that is accepted.
"""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from sqlmodel.ext.asyncio.session import AsyncSession

from api.bookings import commands
from api.bookings.decision_handler import DECISION_RESPONSES, WithDecisionHandler
from api.bookings.schemas import Booking, BookingForOperator, NoShowReport, Objection, Rejection
from api.http.auth import AsAnyRole, AsEitherSide, AsInstructor, AsStudent
from models.domain.messages import (
    Approve,
    Cancel,
    Complete,
    Confirm,
    ContestNoShow,
    Object,
    Reject,
    ReportNoShow,
)
from models.domain.session_reports import Verdict
from workflows.booking.workflow import BookingWorkflow

router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["decisions"], responses=DECISION_RESPONSES)


@router.post("/approve", operation_id="approveBooking", response_model=Booking)
async def approve(booking_id: UUID, instructor: AsInstructor, handler: WithDecisionHandler) -> Booking:
    """Approve the booking. The session is scheduled."""
    decision = Approve(actor=instructor.actor, channel=instructor.channel)
    return await handler.decide(booking_id, instructor, BookingWorkflow.approve, decision)


@router.post("/reject", operation_id="rejectBooking", response_model=Booking)
async def reject(
    booking_id: UUID, rejection: Rejection, instructor: AsInstructor, handler: WithDecisionHandler
) -> Booking:
    """Reject the booking. Everything is returned to the student, who sees the reason."""

    async def save_reason(session: AsyncSession, now: datetime) -> None:
        await commands.save_rejection_reason(session, booking_id, rejection.reason, instructor, now)

    decision = Reject(actor=instructor.actor, channel=instructor.channel)
    return await handler.decide(booking_id, instructor, BookingWorkflow.reject, decision, rejection, save_reason)


@router.post("/complete", operation_id="completeBooking", response_model=Booking)
async def complete(booking_id: UUID, instructor: AsInstructor, handler: WithDecisionHandler) -> Booking:
    """Report that the session took place. If the meeting's record shows it, the payment is settled at once; otherwise
    the student can object first.
    """
    record = await handler.find(booking_id, instructor)
    is_enough = record.verdict is Verdict.TOOK_PLACE
    decision = Complete(actor=instructor.actor, channel=instructor.channel, record_is_enough=is_enough)
    return await handler.decide(booking_id, instructor, BookingWorkflow.complete, decision)


@router.post("/confirm", operation_id="confirmSession", response_model=Booking)
async def confirm(booking_id: UUID, student: AsStudent, handler: WithDecisionHandler) -> Booking:
    """Confirm that the session took place, at any time from its start on. The payment is settled at once."""
    decision = Confirm(actor=student.actor, channel=student.channel)
    return await handler.decide(booking_id, student, BookingWorkflow.confirm, decision)


@router.post("/object", operation_id="objectToCompletion", response_model=Booking)
async def object_to_completion(
    booking_id: UUID, objection: Objection, student: AsStudent, handler: WithDecisionHandler
) -> Booking:
    """Object to a reported completion. The meeting's record decides, or an operator if it is not clear."""

    async def save_reason(session: AsyncSession, now: datetime) -> None:
        await commands.save_objection_reason(session, booking_id, objection.reason, student, now)

    decision = Object(actor=student.actor, channel=student.channel)
    return await handler.decide(booking_id, student, BookingWorkflow.object, decision, objection, save_reason)


@router.post("/cancel", operation_id="cancelBooking", response_model=BookingForOperator | Booking)
async def cancel(booking_id: UUID, caller: AsAnyRole, handler: WithDecisionHandler) -> Booking:
    """Cancel the booking. The refund depends on the booking's policy and on who cancels."""
    decision = Cancel(actor=caller.actor, channel=caller.channel)
    return await handler.decide(booking_id, caller, BookingWorkflow.cancel, decision)


@router.post("/no-show", operation_id="reportNoShow", response_model=Booking)
async def report_no_show(
    booking_id: UUID, no_show: NoShowReport, caller: AsEitherSide, handler: WithDecisionHandler
) -> Booking:
    """Report that the other side did not come. They can contest it, and the meeting's record is judged at the end."""
    decision = ReportNoShow(actor=caller.actor, channel=caller.channel, absent=no_show.absent)
    return await handler.decide(booking_id, caller, BookingWorkflow.report_no_show, decision, no_show)


@router.post("/no-show/contest", operation_id="contestNoShow", response_model=Booking)
async def contest_no_show(booking_id: UUID, caller: AsEitherSide, handler: WithDecisionHandler) -> Booking:
    """Contest a reported no-show. The meeting's attendance record decides, or an operator if it is not clear."""
    decision = ContestNoShow(actor=caller.actor, channel=caller.channel)
    return await handler.decide(booking_id, caller, BookingWorkflow.contest_no_show, decision)
