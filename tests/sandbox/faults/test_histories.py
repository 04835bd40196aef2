"""Random histories are drawn from a seed alone. Those that ever failed are played again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.faults import acts, fast_rounds, in_process, rounds
from sandbox.faults.histories import BOOKINGS, JOURNEYS, MEDDLING, TROUBLES, Turn, draw
from sandbox.faults.market import faulty_market

SEEDS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "seeds.yaml").read_text())


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


@pytest.mark.on_demand
@pytest.mark.timeout(400)
async def test_seeds_that_found_something_find_nothing_now() -> None:
    """Of each, what happens to the stack and to the booking at which it was found."""
    found = {}
    async with faulty_market(BOOKINGS) as market:
        for seed in SEEDS:
            turns = [turn for turn in draw(seed["seed"]) if turn.booking in (None, seed["booking"])]
            found[seed["seed"]] = await rounds.play(market, turns)
    assert found == {seed["seed"]: [] for seed in SEEDS}


async def test_round_that_fails_is_shortened() -> None:
    turns = draw(3)

    async def fails(some: Sequence[Turn]) -> bool:
        return turns[11] in some

    assert await rounds.shortest_prefix(turns, fails) == turns[:12]


@pytest.mark.timeout(300)
async def test_round_in_one_process_finds_nothing() -> None:
    turns = [turn for turn in draw(1, 20) if turn.at < 20]
    async with in_process.servers(20) as servers:
        assert await fast_rounds.play(servers, 1, turns) == []


def test_acts_in_one_process_are_some_of_all() -> None:
    assert fast_rounds.ACTS.keys() < acts.ACTS.keys()
