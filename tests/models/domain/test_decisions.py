"""The exact moments and amounts at which a decision becomes possible, or no longer is."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from models.domain.actors import AbsentParty
from models.domain.decisions import Situation, Stage, ending_of, refusal
from models.domain.messages import (
    Approve,
    Cancel,
    Complete,
    Confirm,
    ContestNoShow,
    Decision,
    Extend,
    Release,
    ReportNoShow,
    Reschedule,
    Settle,
    SettleAndRefund,
)
from models.domain.money import Money
from models.domain.policy import CompletionTimeoutPolicy, PaymentPlan
from tests.workflows.booking.every_order.people import (
    HOUR,
    INSTRUCTOR,
    LONG_ENOUGH,
    OPERATOR,
    PRICE,
    STARTS_AT,
    STUDENT,
    booked,
)

MOMENT = timedelta(microseconds=1)
ENDS_AT = STARTS_AT + HOUR
LATEST = ENDS_AT + 30 * HOUR
ACCEPTED = Situation(
    stage=Stage.SESSION,
    accepted=True,
    parked=False,
    report=None,
    answer=None,
    moving=False,
    now=STARTS_AT - 24 * HOUR,
    latest_deadline=LATEST,
    latest_end=ENDS_AT + 48 * HOUR,
    terms=booked(PaymentPlan.HOLD, CompletionTimeoutPolicy.RELEASE),
)


def is_possible(decision: Decision, at: datetime = STARTS_AT, situation: Situation = ACCEPTED) -> bool:
    return refusal(decision, replace(situation, now=at)) is None


@pytest.mark.parametrize(
    ("decision", "since"),
    [
        (Confirm(actor=STUDENT), STARTS_AT),
        (Complete(actor=INSTRUCTOR), ENDS_AT),
        (Complete(actor=INSTRUCTOR, record_is_enough=True), STARTS_AT),
        (ReportNoShow(actor=STUDENT, absent=AbsentParty.INSTRUCTOR), STARTS_AT + LONG_ENOUGH),
        (ReportNoShow(actor=STUDENT, absent=AbsentParty.STUDENT), STARTS_AT),
        (Settle(actor=OPERATOR), ENDS_AT),
        (SettleAndRefund(actor=OPERATOR, amount=PRICE), ENDS_AT),
    ],
)
def test_possible_from_the_very_moment_on(decision: Decision, since: datetime) -> None:
    assert [is_possible(decision, since + late) for late in (-MOMENT, 0 * HOUR, MOMENT, 90 * HOUR)] == [
        False,
        True,
        True,
        True,
    ]


def move(by: timedelta = 2 * HOUR, lasts: timedelta = HOUR, agreed_at: datetime = STARTS_AT) -> Reschedule:
    starts_at = STARTS_AT + by
    return Reschedule(
        actor=INSTRUCTOR,
        proposal_id=UUID(int=1),
        slot_id=UUID(int=2),
        starts_at=starts_at,
        ends_at=starts_at + lasts,
        from_starts_at=agreed_at,
    )


def test_until_the_start_the_student_cancels_and_the_session_moves() -> None:
    for decision in (Cancel(actor=STUDENT), move()):
        assert is_possible(decision, STARTS_AT - MOMENT)
        assert not is_possible(decision, STARTS_AT)
    assert is_possible(Cancel(actor=INSTRUCTOR), STARTS_AT)


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (move(), True),
        (move(-2 * HOUR), True),
        (move(lasts=2 * HOUR), False),
        (move(lasts=HOUR / 2), False),
        (move(agreed_at=STARTS_AT + HOUR), False),
        (move(agreed_at=STARTS_AT - HOUR), False),
        (move(timedelta(0), lasts=5 * HOUR, agreed_at=STARTS_AT + HOUR), True),
        (move(48 * HOUR), True),
        (move(48 * HOUR + MOMENT), False),
        (move(-24 * HOUR + MOMENT), True),
        (move(-24 * HOUR), False),
        (move(-25 * HOUR), False),
    ],
    ids=[
        "later", "earlier", "longer", "shorter", "agreed for an earlier time", "agreed for a later time",
        "moved there already", "to the end of what can be held", "beyond it", "just after now", "now", "in the past",
    ],
)  # fmt: skip
def test_where_a_session_can_be_moved(to: Reschedule, expected: bool) -> None:
    assert is_possible(to, STARTS_AT - 24 * HOUR) is expected


@pytest.mark.parametrize(
    ("until", "now", "expected"),
    [
        (LATEST, ENDS_AT, True),
        (LATEST + MOMENT, ENDS_AT, False),
        (ENDS_AT + MOMENT, ENDS_AT, True),
        (ENDS_AT, ENDS_AT, False),
        (ENDS_AT + HOUR, ENDS_AT + 2 * HOUR, False),
        (ENDS_AT, STARTS_AT, True),
        (ENDS_AT - MOMENT, STARTS_AT, False),
    ],
)
def test_how_far_a_deadline_can_be_moved(until: datetime, now: datetime, expected: bool) -> None:
    assert is_possible(Extend(actor=OPERATOR, until=until), now) is expected


@pytest.mark.parametrize(
    ("minor", "currency", "expected"),
    [
        (1, "usd", True),
        (0, "usd", False),
        (-1, "usd", False),
        (10_000, "usd", True),
        (10_001, "usd", False),
        (100, "aud", False),
        (100, "zar", False),
    ],
)
def test_a_refund_is_a_part_of_the_price(minor: int, currency: str, expected: bool) -> None:
    refund = SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=minor, currency=currency))
    reason = refusal(refund, replace(ACCEPTED, now=ENDS_AT))
    assert reason == (None if expected else "The refund must be more than nothing and at most 100.00 USD.")


def test_a_refund_that_stripe_takes_in_no_such_step_is_explained_in_a_sentence() -> None:
    dinars = ACCEPTED.terms.model_copy(update={"price": Money(amount_minor=10_000, currency="kwd")})
    refund = SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=1_235, currency="kwd"))
    reason = refusal(refund, replace(ACCEPTED, terms=dinars, now=ENDS_AT))
    assert reason == "An amount in kwd must be a multiple of 10 minor units."


@pytest.mark.parametrize("absent", AbsentParty)
def test_only_the_absent_contest(absent: AbsentParty) -> None:
    by = INSTRUCTOR if absent is AbsentParty.STUDENT else STUDENT
    reported = replace(ACCEPTED, report=ReportNoShow(actor=by, absent=absent))
    other = STUDENT if by is INSTRUCTOR else INSTRUCTOR
    assert is_possible(ContestNoShow(actor=other), situation=reported)
    assert not is_possible(ContestNoShow(actor=by), situation=reported)


def test_a_session_is_reported_on_once_its_approval_is_recorded() -> None:
    being_approved = replace(ACCEPTED, accepted=False)
    waiting = replace(ACCEPTED, stage=Stage.APPROVAL)
    for decision in (Confirm(actor=STUDENT), Complete(actor=INSTRUCTOR, record_is_enough=True)):
        assert not is_possible(decision, ENDS_AT, being_approved)
        assert not is_possible(decision, ENDS_AT, waiting)


def test_while_the_money_moves_only_a_late_payment_leaves_an_operator_a_choice() -> None:
    moving = replace(ACCEPTED, stage=Stage.ENDING)
    late = replace(moving, awaits_late_payment=True)
    for decision in (Settle(actor=OPERATOR), SettleAndRefund(actor=OPERATOR, amount=PRICE), Release(actor=OPERATOR)):
        assert not is_possible(decision, ENDS_AT, moving)
        assert is_possible(decision, ENDS_AT, late)
    for other in (Cancel(actor=INSTRUCTOR), Confirm(actor=STUDENT), Extend(actor=OPERATOR, until=LATEST)):
        assert not is_possible(other, ENDS_AT, late)


def test_an_approval_ends_no_booking() -> None:
    with pytest.raises(TypeError, match="Approve ends no booking"):
        ending_of(Approve(actor=INSTRUCTOR), ACCEPTED)
