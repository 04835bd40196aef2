"""Each disturbance, at each step of one booking, leads to an end that can be justified.

The search with all orders of them takes minutes (`test_every_order.py`).
"""

import pytest

from models.domain.policy import CompletionTimeoutPolicy, PaymentPlan
from tests.workflows.booking.every_order.test_every_order import check
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
