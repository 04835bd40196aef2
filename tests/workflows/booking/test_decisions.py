"""Whether a decision was carried out, which its sender is told, and how far it can move a session. No Temporal."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from models.domain.actors import AbsentParty
from models.domain.endings import EndReason
from models.domain.messages import BookingView, ReportNoShow, Reschedule
from models.domain.policy import PaymentPlan
from models.domain.session_reports import Verdict
from models.domain.states import BookingStatus
from tests.workflows.booking.states import (
    BEFORE,
    COMPLETE,
    DECISIONS,
    DURING,
    ENDS_AT,
    HOLD_ENDS_AT,
    STUDENT,
    TERMS,
    at,
)
from workflows.booking.decisions import Decisions

COMPLETED = BookingView(booking_status=BookingStatus.COMPLETED, end_reason=EndReason.COMPLETED)
CANCELLED = COMPLETED.model_copy(update={"end_reason": EndReason.CANCELLED})
MOVED, MOVED_ON = (TERMS.model_copy(update={"starts_at": at}) for at in (ENDS_AT, HOLD_ENDS_AT))


@pytest.mark.parametrize(
    ("place", "name", "changes", "expected"),
    [
        ("being approved", "approve", {}, False),
        ("accepted", "approve", {}, True),
        ("over", "retry", {"retry": DECISIONS["retry"]}, False),
        ("over", "retry", {"retried": DECISIONS["retry"]}, True),
        ("over", "extend", {}, True),
        ("ending", "extend", {}, False),
        ("accepted", "reschedule", {}, False),
        ("accepted", "reschedule", {"terms": MOVED}, True),
        ("accepted", "reschedule", {"terms": MOVED_ON}, False),
        ("over", "complete", {}, False),
        ("over", "complete", {"is_report_recorded": True}, True),
        # The record showed it at once, or the student confirmed.
        ("over", "complete", {"view": COMPLETED}, True),
        ("over", "complete", {"view": CANCELLED}, False),
        ("begun", "report", {}, False),
        ("begun", "report", {"is_report_recorded": True}, True),
        ("over", "object", {}, False),
        ("over", "object", {"is_answer_recorded": True}, True),
        ("over", "contest", {}, False),
        ("over", "contest", {"is_answer_recorded": True}, True),
        ("accepted", "release", {}, False),
        ("accepted", "release", {"ended_by": DECISIONS["release"]}, True),
        ("accepted", "release", {"ended_by": DECISIONS["settle"]}, False),
    ],
)
def test_a_decision_is_carried_out_once_its_effect_is_recorded(
    place: str, name: str, changes: dict[str, Any], expected: bool
) -> None:
    assert Decisions(replace(at(place), **changes)).took_effect(DECISIONS[name]) is expected


def test_a_report_that_nobody_can_contest_is_carried_out_once_it_ends_the_booking() -> None:
    own = ReportNoShow(actor=STUDENT, absent=AbsentParty.STUDENT)
    state = replace(at("begun"), is_report_recorded=True)
    assert not Decisions(state).took_effect(own)
    Decisions(state).apply(own, DURING)
    assert Decisions(state).took_effect(own)


# Less the margin of 6 hours, the completion window of 24, and the objection window of 12.
LATER = timedelta(hours=42)


@pytest.mark.parametrize(
    ("plan", "latest"),
    [
        # Paid again, and charged then: for 90 days.
        (PaymentPlan.HOLD, BEFORE + timedelta(days=90) - LATER),
        (PaymentPlan.CHARGE_THEN_TRANSFER, HOLD_ENDS_AT - LATER),
    ],
)
def test_a_session_is_moved_as_far_as_the_money_can_be_held(plan: PaymentPlan, latest: datetime) -> None:
    state = replace(at("accepted"), terms=TERMS.model_copy(update={"plan": plan}))
    move = DECISIONS["reschedule"]
    assert isinstance(move, Reschedule)
    for ends_at, is_possible in ((latest, True), (latest + timedelta(seconds=1), False)):
        to = move.model_copy(update={"starts_at": ends_at - (ENDS_AT - TERMS.starts_at), "ends_at": ends_at})
        assert (Decisions(state).refusal(to, BEFORE) is None) is is_possible


def test_only_a_reported_completion_that_the_record_shows_needs_no_answer() -> None:
    reported = replace(at("over"), report=COMPLETE)
    found = Decisions(reported).ending_at_once(Verdict.TOOK_PLACE)
    assert found is not None
    assert (found.reason, found.actor) == (EndReason.COMPLETED, COMPLETE.actor)
    assert Decisions(reported).ending_at_once(Verdict.NOTHING_RECORDED) is None
    assert Decisions(at("over")).ending_at_once(Verdict.TOOK_PLACE) is None
