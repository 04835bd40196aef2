"""`./run faults`: breaks the stack while bookings are under way, and compares the books afterwards."""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from rich.console import Console
from rich.table import Table

from sandbox.faults import cells, fast_rounds, in_process, rounds
from sandbox.faults.histories import BOOKINGS, Turn, draw
from sandbox.faults.market import faulty_market
from sandbox.stack import supervision


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
    parser.add_argument("--histories", type=int, metavar="K", help="how many bookings; by default, those of one seed")
    parser.add_argument(
        "--in-process", action="store_true", help="play them in this process on a server that skips time: much faster"
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


_AT_ONCE: Final = 4
"""Rounds in one process. Each waits for its own server most of the time."""

PlayRound = Callable[[int, Sequence[Turn]], Awaitable[list[str]]]


@dataclass(frozen=True)
class Way:
    """How random histories are played."""

    bookings: int
    """In one round, drawn from one seed."""
    rounds: int
    """On one stack."""
    at_once: int
    """How many of the rounds."""
    opened: Callable[[], AbstractAsyncContextManager[PlayRound]]


@asynccontextmanager
async def _on_the_stack() -> AsyncIterator[PlayRound]:
    async with faulty_market(BOOKINGS) as market:
        yield lambda _, turns: rounds.play(market, turns)


@asynccontextmanager
async def _in_this_process() -> AsyncIterator[PlayRound]:
    # The SDK logs each failure that was drawn.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    async with in_process.servers(_AT_ONCE * fast_rounds.BOOKINGS) as servers:

        def play(seed: int, turns: Sequence[Turn]) -> Awaitable[list[str]]:
            pairs = servers.pairs[seed % _AT_ONCE :: _AT_ONCE]
            return fast_rounds.play(replace(servers, pairs=pairs), seed, turns)

        yield play


# Stripe's clock is moved on in each round, and a Checkout page needs half an hour.
ON_THE_STACK = Way(BOOKINGS, 4, 1, _on_the_stack)
IN_THIS_PROCESS = Way(fast_rounds.BOOKINGS, 20, _AT_ONCE, _in_this_process)


async def _play_histories(way: Way, first_seed: int, count: int, length: int | None) -> int:
    """Stops at the first round that fails, and shortens it."""
    begun, played = time.monotonic(), 0
    failed: list[tuple[int, list[Turn], list[str]]] = []

    async def play_each(play: PlayRound, seeds: Sequence[int]) -> None:
        nonlocal played
        for seed in seeds:
            if failed:
                break
            turns = draw(seed, way.bookings)[:length]
            problems = await play(seed, turns)
            played += way.bookings
            seconds = time.monotonic() - begun
            rate = f"{played} histories, {played * 3600 / seconds:.0f} an hour"
            print(f"{seconds:6.0f} s  seed {seed}: {len(turns)} turns, {len(problems)} problems; {rate}", flush=True)
            if problems:
                failed.append((seed, turns, problems))

    seeds = range(first_seed, first_seed - (-count // way.bookings))
    for start in range(0, len(seeds), way.rounds):
        some = seeds[start : start + way.rounds]
        async with way.opened() as play:
            await asyncio.gather(*(play_each(play, some[number :: way.at_once]) for number in range(way.at_once)))
        if failed:
            seed, turns, problems = failed[0]
            print("\n".join(problems), flush=True)
            return await _shorten(way, seed, turns)
    return 0


async def _shorten(way: Way, seed: int, turns: Sequence[Turn]) -> int:
    """Play the first turns again, each time with new servers."""

    async def fails(some: Sequence[Turn]) -> bool:
        async with way.opened() as play:
            return bool(await play(seed, some))

    fewest = await rounds.shortest_prefix(turns, fails)
    print(f"Seed {seed} fails after {len(fewest)} of {len(turns)} turns:")
    print("\n".join(map(str, fewest)))
    return 1


def main() -> int:
    arguments = _arguments()
    if arguments.seed is not None:
        way = IN_THIS_PROCESS if arguments.in_process else ON_THE_STACK
        count = arguments.histories or way.bookings
        return supervision.run(_play_histories(way, arguments.seed, count, arguments.turns))
    return supervision.run(_play_cells(arguments.cells or "*"))


if __name__ == "__main__":
    sys.exit(main())
