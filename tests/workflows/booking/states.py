"""A booking in each of its states, and every decision, for the tests of what it does with them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from models.domain.actors import AbsentParty, Actor, Role
from models.domain.decisions import Stage
from models.domain.messages import (
    Approve,
    Cancel,
    Complete,
    Confirm,
    ContestNoShow,
    Decision,
    Extend,
    Object,
    Reject,
    Release,
    ReportNoShow,
    Reschedule,
    ReserveSlot,
    Retry,
    Settle,
    SettleAndRefund,
)
from models.domain.money import Money
from models.domain.policy import BookingPolicy, Deadlines, PaymentPlan
from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
from models.domain.terms import BookingTerms
from workflows.booking.decisions import Decisions
from workflows.booking.state import BookingState

HOUR = timedelta(hours=1)
STARTS_AT = datetime(2026, 12, 3, 10, tzinfo=UTC)
ENDS_AT = STARTS_AT + HOUR
BEFORE, DURING = STARTS_AT - 30 * HOUR, STARTS_AT + timedelta(minutes=15)
HOLD_ENDS_AT = STARTS_AT + timedelta(days=5)
STUDENT = Actor(role=Role.STUDENT, id=UUID(int=1))
INSTRUCTOR = Actor(role=Role.INSTRUCTOR, id=UUID(int=2))
OPERATOR = Actor(role=Role.OPERATOR, id=UUID(int=3))
DOLLARS = {part: Money(amount_minor=part * 100, currency="usd") for part in (0, 25, 50, 75, 100)}
TERMS = BookingTerms(
    booking_id=UUID(int=10),
    student_id=UUID(int=1),
    instructor_id=UUID(int=2),
    offering_id=UUID(int=11),
    slot_id=UUID(int=12),
    starts_at=STARTS_AT,
    ends_at=STARTS_AT + HOUR,
    price=DOLLARS[100],
    policy=BookingPolicy(deadlines=Deadlines(contest_window=24 * HOUR, objection_window=12 * HOUR)),
    plan=PaymentPlan.HOLD,
    stripe_account_id="acct_1",
)
REPORT = ReportNoShow(actor=INSTRUCTOR, absent=AbsentParty.STUDENT)
CONTEST = ContestNoShow(actor=STUDENT)
COMPLETE = Complete(actor=INSTRUCTOR)
OBJECT = Object(actor=STUDENT)

ACCEPTED = ("accepted", "begun", "over", "ending")

DECISIONS: dict[str, Decision] = {
    "approve": Approve(actor=INSTRUCTOR),
    "reject": Reject(actor=INSTRUCTOR),
    "complete": COMPLETE,
    "complete early": Complete(actor=INSTRUCTOR, record_is_enough=True),
    "confirm": Confirm(actor=STUDENT),
    "object": OBJECT,
    "report": REPORT,
    "contest": CONTEST,
    "cancel by student": Cancel(actor=STUDENT),
    "cancel by instructor": Cancel(actor=INSTRUCTOR),
    "settle": Settle(actor=OPERATOR),
    "settle with a reason": Settle(actor=OPERATOR, has_reason=True),
    "release": Release(actor=OPERATOR),
    "refund": SettleAndRefund(actor=OPERATOR, amount=DOLLARS[25]),
    "refund with a reason": SettleAndRefund(actor=OPERATOR, amount=DOLLARS[25], has_reason=True),
    "extend": Extend(actor=OPERATOR, until=DURING + 2 * HOUR),
    "reschedule": Reschedule(
        actor=INSTRUCTOR,
        proposal_id=UUID(int=13),
        slot_id=UUID(int=14),
        starts_at=STARTS_AT + HOUR,
        ends_at=STARTS_AT + 2 * HOUR,
        from_starts_at=STARTS_AT,
    ),
    "retry": Retry(actor=OPERATOR),
}


def at(place: str) -> BookingState:
    order = ReserveSlot(terms=TERMS, booked_at=BEFORE, checkout_deadline_at=BEFORE + HOUR)
    state = BookingState.of(order)
    state.reach(booking=BookingStatus.PENDING)
    # An operator may extend any stage up to here, so that one `extend` serves for all.
    state.latest_deadline, state.hold_ends_at = DURING + 3 * HOUR, HOLD_ENDS_AT
    if place in ("approval", "being approved", *ACCEPTED, "closed"):
        state.stage = Stage.APPROVAL
        state.reach(payment=PaymentStatus.PENDING)
    if place in ("being approved", *ACCEPTED):
        state.approval = Approve(actor=INSTRUCTOR)
    if place in ACCEPTED:
        state.stage = Stage.SESSION
        state.reach(booking=BookingStatus.ACCEPTED, session=SessionStatus.SCHEDULED)
    if place in ("ending", "ending unpaid"):
        Decisions(state).apply(Release(actor=OPERATOR), BEFORE)
        state.begin_ending(state.decided_ending)
    if place == "closed":
        state.close()
    return state
