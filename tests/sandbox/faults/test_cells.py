"""A part of the crash matrix, which takes less than two minutes. All of it: `./run faults --cells`."""

import pytest

from sandbox.faults import cells
from sandbox.faults.cells import Cell
from sandbox.faults.market import faulty_market
from sandbox.faults.stack import Fault, Part
from sandbox.faults.steps import STEPS
from sandbox.faults.wire import Moment

SUBSET = {
    Part.WORKER: ("secure", "record", "mail", "settle", "release"),
    Part.API: ("reserve",),
    Part.POSTGRES: ("accept",),
    Part.TEMPORAL: ("approve",),
    Part.STRIPE: ("secure",),
}

UNHURRIED = {"HOLDFAST_CHECKOUT_WINDOW": "PT10M", "HOLDFAST_APPROVAL_WINDOW": "PT10M"}


def subset() -> list[Cell]:
    names = {f"{step}/between/{part}/killed/repeats" for part, steps in SUBSET.items() for step in steps}
    return [cell for cell in cells.select("*/between/*/killed/repeats") if str(cell) in names]


def test_matrix_has_every_step_moment_part_and_fault() -> None:
    matrix = cells.select("*")
    assert len(set(map(str, matrix))) == len(matrix)
    assert {(cell.step.name, cell.moment, cell.part, cell.fault) for cell in matrix} == {
        (step.name, moment, part, fault) for step in STEPS for moment in Moment for part in Part for fault in Fault
    }
    assert len(subset()) == sum(map(len, SUBSET.values()))


@pytest.mark.timeout(300)
async def test_bookings_survive_the_death_of_each_part() -> None:
    """The bookings are made at the same time. Then one part after the other is killed, each with some of them."""
    async with faulty_market(len(subset()), UNHURRIED) as market:
        results = await cells.run(market, *cells.batches(subset()))
    assert {str(result.cell): result.problems for result in results if result.problems} == {}
