"""The current details of a booking's workflow: a table in Markdown for Temporal's UI. Ids and amounts only."""

from datetime import datetime

from models.domain.attention import kind_of
from models.domain.decisions import Stage
from models.domain.messages import Complete
from models.domain.money import Money
from models.domain.payments import HoldPhase, stripe_dashboard
from models.domain.policy import PaymentPlan
from workflows import descriptions
from workflows.booking.state import BookingState


def table(state: BookingState) -> str:
    return descriptions.table(
        {
            "Waits for": _waits_for(state),
            "Runbook": kind_of(state.parked_because) if state.parked_because else None,
            "Until": _utc(state.next_deadline) if state.next_deadline else None,
            "Session": f"{_utc(state.terms.starts_at)} to {_utc(state.terms.ends_at)}",
            "Money": _money(state),
            "Links": _links(state),
            "Refused": _refused(state),
        }
    )


def _waits_for(state: BookingState) -> str:
    if state.parked_because:
        return f"an operator's decision: {state.parked_because}"
    if state.is_closed:
        return f"nothing, it is closed: {state.view.end_reason or 'the slot had been taken'}"
    if state.renewal.request:
        return "the student to pay again"
    if state.report is None or state.stage is Stage.ENDING:
        return state.stage
    if state.answer:
        return "the session's end, to judge what was reported of it"
    return "a completion to be objected to" if isinstance(state.report, Complete) else "a no-show to be contested"


def _money(state: BookingState) -> str:
    """As Stripe answered last."""
    payment, price = state.payment, state.terms.price

    def money(amount_minor: int) -> str:
        return Money(amount_minor=amount_minor, currency=price.currency).format()

    if payment is None or payment.phase in (HoldPhase.OPEN, HoldPhase.CLOSED):
        return f"nothing of {price.format()} yet" if not state.is_closed else "none"
    if payment.phase is HoldPhase.PROCESSING:
        return f"{price.format()}, which the student's bank is still to confirm"
    if payment.phase is HoldPhase.GONE:
        return f"{price.format()} went back to the student"
    if payment.phase is HoldPhase.CAPTURED:
        share = f"{money(payment.captured_minor)} captured, {money(payment.instructor_minor)} of it for the instructor"
        return f"{share}, {money(payment.refunded_minor)} went back" if payment.refunded_minor else share
    is_hold = state.terms.plan is PaymentPlan.HOLD
    return f"{price.format()} {'held' if is_hold else 'charged and not transferred'} until {_utc(state.hold_ends_at)}"


def _links(state: BookingState) -> str:
    found = {"Booking": state.page_url}
    if state.checkout and state.payment and (payment_intent_id := state.payment.payment_intent_id):
        root = stripe_dashboard(state.checkout.checkout_session_id)
        found["Payment at Stripe"] = f"{root}payments/{payment_intent_id}"
    return ", ".join(f"[{name}]({url})" for name, url in found.items() if url)


def _refused(state: BookingState) -> str:
    refused = state.refused_signal
    return f"the signal `{refused.signal}` at {_utc(refused.at)}: {refused.reason}" if refused else ""


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
