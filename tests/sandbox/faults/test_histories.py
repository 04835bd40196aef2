"""Random histories are drawn from a seed alone. Those that ever failed are played again."""

from pathlib import Path

from sandbox.faults import acts
from sandbox.faults.histories import JOURNEYS, MEDDLING, TROUBLES, draw

SEEDS = Path(__file__).parents[2] / "seeds.yaml"


def test_seed_draws_the_same_turns_each_time() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_all_that_can_be_drawn_is_drawn_and_can_be_played() -> None:
    turns = [turn for seed in range(200) for turn in draw(seed)]
    of_bookings = {turn.act for turn in turns if turn.booking is not None}
    assert of_bookings == {act for journey in JOURNEYS for act in journey} | set(MEDDLING) == set(acts.ACTS)
    assert {turn.act for turn in turns if turn.booking is None} == set(TROUBLES)
    assert set(TROUBLES) <= set(acts.TROUBLES)


def test_booking_begins_with_its_first_turn_whatever_the_prefix() -> None:
    turns = draw(3)
    firsts = {turn.booking: turn for turn in reversed(turns)}
    assert {turn.booking: turn for turn in reversed(turns[:40])}.items() <= firsts.items()
