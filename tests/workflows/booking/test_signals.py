"""Every signal has the effect of its update. No server: the workflow runs as in the search of every order."""

from collections.abc import Callable

import pytest

from models.domain.actors import AbsentParty
from models.domain.messages import Approve, Cancel, Complete, Decision, Reject, ReportNoShow
from models.domain.policy import CompletionTimeoutPolicy, PaymentPlan
from models.domain.states import BookingStatus
from tests.workflows.booking.every_order.people import INSTRUCTOR, STUDENT
from tests.workflows.booking.every_order.world import World
from workflows.booking.state import BookingState

WAITED = ("pay", "approve", "wait: nothing recorded", "wait")
NO_SHOW = ReportNoShow(actor=INSTRUCTOR, absent=AbsentParty.STUDENT)


@pytest.mark.parametrize(
    ("before", "signal", "decision", "has_effect"),
    [
        (("pay",), "approve", Approve(actor=INSTRUCTOR), lambda state: state.is_accepted),
        (("pay",), "reject", Reject(actor=INSTRUCTOR), lambda state: _ended(state, BookingStatus.REJECTED)),
        (("pay",), "cancel", Cancel(actor=STUDENT), lambda state: _ended(state, BookingStatus.CANCELLED)),
        (WAITED, "report_no_show", NO_SHOW, lambda state: state.report == NO_SHOW and state.is_report_recorded),
        ((*WAITED, "wait"), "complete", Complete(actor=INSTRUCTOR), lambda state: state.is_report_recorded),
    ],
)
def test_a_signal_has_its_effect(
    before: tuple[str, ...], signal: str, decision: Decision, has_effect: Callable[[BookingState], bool]
) -> None:
    world = World(PaymentPlan.HOLD, CompletionTimeoutPolicy.SETTLE)
    for move in before:
        assert world.play(move)
    world.instance.signal(signal, decision, world.now)
    assert world.play("answer")
    assert has_effect(world.state)
    assert world.state.refused_signal is None
    world.close()


def _ended(state: BookingState, status: BookingStatus) -> bool:
    return state.is_closed and state.view.booking_status is status
