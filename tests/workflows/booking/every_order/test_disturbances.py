"""Each disturbance, at each step of one booking, leads to an end that can be justified.

The search with all orders of them takes minutes (`test_every_order.py`).
"""

from datetime import timedelta

import pytest

from models.domain.endings import EndReason
from models.domain.payments import HoldPhase
from models.domain.policy import CompletionTimeoutPolicy, PaymentPlan
from tests.workflows.booking.every_order.invariants import check
from tests.workflows.booking.every_order.people import UPDATES
from tests.workflows.booking.every_order.world import World

JOURNEY = ("pay", "approve", "wait: nothing recorded", "wait", "wait", "the instructor completes")
OPERATORS = ("retry", "release")


def played(plan: PaymentPlan, *moves: str) -> World:
    world = World(plan, CompletionTimeoutPolicy.SETTLE)
    for move in moves:
        assert world.play(move), move
    return world


def wait(world: World) -> None:
    """Nobody does anything until the booking is closed, or needs an operator."""
    for _ in range(40):
        check(world)
        if world.is_at_rest:
            return
        assert world.play(world.own_moves()[0])
    raise AssertionError("no deadline ends it")


@pytest.mark.parametrize("steps", range(len(JOURNEY) + 1))
@pytest.mark.parametrize("plan", PaymentPlan)
def test_a_disturbance_at_each_step_ends_well(plan: PaymentPlan, steps: int) -> None:
    before = JOURNEY[:steps]
    disturbances = played(plan, *before).disturbances()
    assert disturbances
    for disturbance in disturbances:
        world = played(plan, *before)
        if world.play(disturbance) and world.was_disturbed:
            wait(world)
            for decision in OPERATORS:
                if not world.instance.is_finished and world.play(decision):
                    wait(world)
            assert world.instance.is_finished, f"{disturbance} after {before}"
        world.close()


@pytest.mark.parametrize("plan", PaymentPlan)
def test_a_payment_that_the_bank_confirms_in_time_is_as_good_as_any(plan: PaymentPlan) -> None:
    world = played(plan, "pay by bank", "wait", "approve")
    assert world.state.is_accepted
    world.close()


@pytest.mark.parametrize("plan", PaymentPlan)
def test_a_payment_that_the_bank_confirms_too_late_is_returned(plan: PaymentPlan) -> None:
    world = played(plan, "pay by a slow bank")
    wait(world)
    assert world.endings[0].ending.reason is EndReason.CHECKOUT_EXPIRED
    assert world.stripe.having(HoldPhase.GONE)
    world.close()


def test_a_reset_does_not_call_for_an_operator_again_and_a_retry_is_one_round() -> None:
    world = played(PaymentPlan.HOLD, "pay", "approve", "failing step, the instructor cancels")
    assert world.state.is_parked
    assert world.play("reset to the start")
    assert world.state.is_parked
    assert world.calls_for_attention == 1
    assert world.play("retry")
    assert world.instance.is_finished
    assert world.state.operator_round == 1
    world.close()


def test_an_approval_waits_for_the_authorization_that_is_under_way() -> None:
    world = played(PaymentPlan.HOLD)
    [page] = world.stripe.having(HoldPhase.OPEN)
    page.phase, page.hold_ends_at = HoldPhase.HELD, world.now + timedelta(days=7)
    world.instance.signal("payment_event", None, world.now)
    assert [call.name for call in world.instance.calls] == ["look_up_payment"]
    name, approval = UPDATES["approve"]
    assert world.instance.update(name, approval, "approval", world.now)
    assert world.state.approval is None
    assert world.play("answer")
    assert world.state.is_accepted
    assert not world.instance.unanswered
    world.close()


def test_a_decision_that_a_reset_interrupts_is_carried_out_after_it() -> None:
    world = played(PaymentPlan.HOLD, "pay", "approve", "slow step, the instructor cancels", "reset to the last task")
    assert world.instance.refused is None
    assert world.endings[0].ending.reason is EndReason.CANCELLED
    check(world)
    world.close()


def test_a_card_that_is_declined_on_the_page_of_a_renewal_can_be_replaced() -> None:
    world = played(PaymentPlan.HOLD, "pay with a short hold", "approve", "the card is declined", "pay")
    assert world.state.renewal.request is None
    assert world.state.terms.plan is PaymentPlan.CHARGE_THEN_TRANSFER
    assert world.state.is_accepted
    world.close()
