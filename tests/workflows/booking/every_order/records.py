"""What the records have of a booking, for a workflow that is reset."""

from collections.abc import Sequence

from models.domain.decisions import Stage
from models.domain.endings import Ending
from models.domain.messages import ReportNoShow
from models.domain.payments import HoldPhase, PaymentState
from models.domain.resets import RecordedBooking
from workflows.booking.state import BookingState


def recorded(state: BookingState, parked_ending: Ending | None, carried_out: Sequence[str]) -> RecordedBooking:
    """What `activities/booking/resets.py` reads, once all that was decided is written."""
    if state.is_closed:
        return RecordedBooking(stage=Stage.CLOSED, view=state.view, terms=state.terms, ended_by=state.closed_by)
    report = state.report if state.is_report_recorded else None
    held = PaymentState(
        phase=HoldPhase.HELD,
        checkout_session_id=state.payment_ref.checkout_session_id,
        payment_intent_id=state.payment_ref.payment_intent_id,
        hold_ends_at=state.hold_ends_at,
    )
    is_held = state.view.payment_status is not None
    return RecordedBooking(
        stage=Stage.SESSION if state.is_accepted else Stage.APPROVAL if is_held else Stage.CHECKOUT,
        view=state.view,
        terms=state.terms,
        deadline=state.renewal.request.pay_by if state.renewal.request else state.deadline,
        checkout=state.checkout,
        payment=held if is_held else None,
        hold_ends_at=state.hold_ends_at if is_held else None,
        reported_by=report.actor if report else None,
        reported_absent=report.absent if isinstance(report, ReportNoShow) else None,
        answered_by=state.answer.actor if state.answer and state.is_answer_recorded else None,
        parked_because=state.parked_because,
        parked_ending=parked_ending,
        renewal=state.renewal.request,
        renewal_pages=state.renewal.pages,
        is_lapsed=state.renewal.hold_lapsed,
        operator_round=state.operator_round,
        carried_out=tuple(carried_out),
    )
