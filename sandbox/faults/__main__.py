"""`./run faults`: breaks the stack while bookings are under way, and compares the books afterwards."""

import argparse
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from sandbox.faults import cells, rounds
from sandbox.faults.histories import BOOKINGS, Turn, draw
from sandbox.faults.market import faulty_market
from sandbox.stack import supervision

_ROUNDS_ON_A_STACK = 4
"""Stripe's clock is moved on in each."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run faults", description="Break the stack while bookings are under way.")
    parser.add_argument(
        "--cells",
        nargs="?",
        const="*",
        metavar="PATTERN",
        help="play the crash matrix, or the cells with this name: step/moment/part/fault/people, with *",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="play random histories, drawn from this seed on")
    parser.add_argument(
        "--histories", type=int, default=BOOKINGS, metavar="K", help=f"how many bookings; {BOOKINGS} for each seed"
    )
    parser.add_argument("--turns", type=int, metavar="T", help="play only so many of the first seed's turns")
    return parser.parse_args()


async def _play_cells(pattern: str) -> int:
    chosen = cells.select(pattern)
    if not chosen:
        print(f"No cell matches {pattern}.", file=sys.stderr)
        return 2
    results: list[cells.Result] = []
    begun = time.monotonic()
    for stack in cells.by_stack(cells.batches(chosen)):
        async with faulty_market(max(len(batch) for batch in stack)) as market:
            for batch in stack:
                played = await cells.run(market, batch)
                results += played
                for result in played:
                    for problem in result.problems:
                        print(f"{result.cell}: {problem}", flush=True)
                seconds = time.monotonic() - begun
                print(f"{seconds:6.0f} s  {len(results)} of {len(chosen)} cells, {_failed(results)} failed", flush=True)
    _print_results(results)
    print(f"{len(results)} cells, {_failed(results)} failed, after {time.monotonic() - begun:.0f} s.")
    return 1 if _failed(results) else 0


def _failed(results: Sequence[cells.Result]) -> int:
    return sum(1 for result in results if result.problems)


def _print_results(results: Sequence[cells.Result]) -> None:
    """A row for each step and moment, a column for each part and fault: how many of its cells hold."""
    console = Console(width=170)
    table = Table(title="The crash matrix: cells that hold")
    columns = list(dict.fromkeys((result.cell.part, result.cell.fault) for result in results))
    table.add_column("step")
    table.add_column("moment")
    for part, fault in columns:
        table.add_column(f"{part} {fault}", justify="right")
    for name, moment in dict.fromkeys((result.cell.step.name, result.cell.moment) for result in results):
        row = []
        for column in columns:
            of_cell = [
                not result.problems
                for result in results
                if (result.cell.step.name, result.cell.moment) == (name, moment)
                and (result.cell.part, result.cell.fault) == column
            ]
            row.append(f"{sum(of_cell)} of {len(of_cell)}" if of_cell else "")
        table.add_row(name, moment, *row)
    console.print(table)


async def _play_histories(first_seed: int, count: int, turns: int | None) -> int:
    """Stops at the first round that fails, and shortens it."""
    begun, played = time.monotonic(), 0
    seeds = list(range(first_seed, first_seed - (-count // BOOKINGS)))
    for start in range(0, len(seeds), _ROUNDS_ON_A_STACK):
        async with faulty_market(BOOKINGS) as market:
            for seed in seeds[start : start + _ROUNDS_ON_A_STACK]:
                drawn = draw(seed)[:turns]
                round = await rounds.play(market, drawn)
                played += BOOKINGS
                seconds = time.monotonic() - begun
                print(
                    f"{seconds:6.0f} s  seed {seed}: {len(drawn)} turns, {round.impossible} of them at the wrong time; "
                    f"{len(round.problems)} problems; {played * 3600 / seconds:.0f} histories an hour",
                    flush=True,
                )
                if round.problems:
                    break
        if round.problems:
            print("\n".join(round.problems), flush=True)
            return await _shorten(seed, drawn)
    return 0


async def _shorten(seed: int, drawn: Sequence[Turn]) -> int:
    length = await rounds.shortest_prefix(drawn)
    print(f"Seed {seed} fails after {length} of {len(drawn)} turns: ./run faults --seed {seed} --turns {length}")
    print("\n".join(map(str, drawn[:length])))
    return 1


def main() -> int:
    arguments = _arguments()
    if arguments.seed is not None:
        return supervision.run(_play_histories(arguments.seed, arguments.histories, arguments.turns))
    return supervision.run(_play_cells(arguments.cells or "*"))


if __name__ == "__main__":
    sys.exit(main())
