"""The crash matrix: each step of every journey, at each moment, with each fault of each part, and what people do then.

One fault hits many bookings: each is held at its own step, then the part fails, then all go on.
"""

import asyncio
import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final

import httpx

from sandbox.demo.people import Unexpected
from sandbox.faults import finish
from sandbox.faults.invariants import violations
from sandbox.faults.market import FaultyMarket
from sandbox.faults.plays import Answer, Play, Stance
from sandbox.faults.stack import Fault, Part, WiredStack
from sandbox.faults.steps import STEPS, Step
from sandbox.faults.wire import Moment, Trap

AT_ONCE: Final = 16
_REACH_SECONDS: Final = 20
"""How long a step may take to get where it is held."""
_JUST_AFTER_SECONDS: Final = 0.01
_SENDING: Final = {Part.WORKER, Part.POSTGRES, Part.MAIL}
"""If the sender of mails, its database or the mail server dies, a mail may come twice: nobody can know better."""


@dataclass(frozen=True)
class Cell:
    step: Step
    moment: Moment
    part: Part
    fault: Fault
    stance: Stance

    def __str__(self) -> str:
        return f"{self.step.name}/{self.moment}/{self.part}/{self.fault}/{self.stance}"


@dataclass
class Result:
    cell: Cell
    problems: list[str] = field(default_factory=list)
    is_unreached: bool = False


def select(pattern: str) -> list[Cell]:
    """The cells whose name matches, such as `settle/*/worker/killed/*`."""
    axes = product(Part, Fault, Moment, Stance, STEPS)
    cells = [
        Cell(step, moment, part, fault, stance) for part, fault, moment, stance, step in axes if stance in step.stances
    ]
    return [cell for cell in cells if fnmatch.fnmatchcase(str(cell), pattern)]


def batches(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Cells that share a fault. Those that move Stripe's clock are by themselves, and last."""
    grouped: dict[tuple[bool, Part, Fault], list[Cell]] = {}
    for cell in cells:
        grouped.setdefault((cell.step.moves_clock, cell.part, cell.fault), []).append(cell)
    return [
        group[start : start + AT_ONCE]
        for _, group in sorted(grouped.items(), key=lambda item: item[0][0])
        for start in range(0, len(group), AT_ONCE)
    ]


async def run(faulty: FaultyMarket, *batches: Sequence[Cell]) -> list[Result]:
    """Play batches, from new bookings to compared books. Their faults come one after the other, all else at once."""
    since = datetime.now(UTC) - timedelta(seconds=1)
    cells = [cell for batch in batches for cell in batch]
    copies = 2 if {cell.part for cell in cells} & _SENDING else 1
    plays = {
        cell: Play(market=faulty.market, pair=await faulty.pair(number, cell.step.starts_in), copies=copies)
        for number, cell in enumerate(cells)
    }
    results = {cell: Result(cell) for cell in cells}
    await asyncio.gather(*(_lead(results[cell], play) for cell, play in plays.items()))
    for batch in batches:
        if ready := [(results[cell], plays[cell]) for cell in batch if not results[cell].problems]:
            await _strike(faulty.stack, ready)
    ready = [(result, plays[cell]) for cell, result in results.items() if not result.is_unreached]
    await asyncio.gather(*(_finish(result, play) for result, play in ready))
    together = await faulty.calm_down(list(plays.values()))
    found = await faulty.books(plays.values(), since)
    together += await faulty.problems()
    for result, play in ready:
        result.problems += violations(play, found[play.booking_id])
        result.problems += [f"in its batch: {problem}" for problem in together]
    return list(results.values())


async def _lead(result: Result, play: Play) -> None:
    try:
        await result.cell.step.lead(play)
    except (Unexpected, TimeoutError, httpx.HTTPError) as error:
        result.is_unreached = True
        result.problems.append(f"the step was never reached: {error!r}")
    play.stance = result.cell.stance


async def _strike(stack: WiredStack, ready: Sequence[tuple[Result, Play]]) -> None:
    """Hold each booking at its step, break the part, let go of all of them, and have their people hear of it."""
    cell = ready[0][0].cell
    traps = []
    for result, play in ready:
        trap = Trap(result.cell.step.catches(play), result.cell.moment)
        traps.append((stack.wire(result.cell.step.part), trap))
        stack.wire(result.cell.step.part).set_trap(trap)
    acts = [asyncio.create_task(_act(result, play)) for result, play in ready]
    await asyncio.wait([asyncio.create_task(trap.reached.wait()) for _, trap in traps], timeout=_REACH_SECONDS)
    for (result, _), (_, trap) in zip(ready, traps, strict=True):
        if not trap.reached.is_set():
            result.problems.append(f"the {result.cell.step.name} was not made within {_REACH_SECONDS} s")

    def release(moment: Callable[[Moment], bool]) -> None:
        for wire, trap in traps:
            if moment(trap.moment):
                wire.remove_trap(trap)

    release(lambda moment: moment is Moment.AFTER)
    await asyncio.sleep(_JUST_AFTER_SECONDS)
    async with stack.faulty(cell.part, cell.fault):
        release(lambda moment: moment is not Moment.AFTER)
    await asyncio.gather(*acts)


async def _act(result: Result, play: Play) -> None:
    """What makes the step happen; then, if its person decides otherwise, that."""
    try:
        answer = await result.cell.step.trigger(play)
        if play.stance is Stance.OTHERWISE and result.cell.step.otherwise and not _is_done(answer):
            play.stance = Stance.REPEATS
            await result.cell.step.otherwise(play)
    except (TimeoutError, httpx.HTTPError) as error:
        result.problems.append(f"nobody ever got an answer: {error!r}")


def _is_done(answer: object) -> bool:
    return isinstance(answer, Answer) and answer.is_success


async def _finish(result: Result, play: Play) -> None:
    try:
        if result.cell.step.then:
            await result.cell.step.then(play)
        await finish.finish(play)
    except (finish.NeverEnded, Unexpected, TimeoutError) as error:
        result.problems.append(f"the booking never ends: {error}")


def by_stack(batches: Sequence[list[Cell]]) -> list[list[list[Cell]]]:
    """A stack whose clock was moved can make no new bookings: its batch is its last."""
    calm = [batch for batch in batches if not batch[0].step.moves_clock]
    return [*([calm] if calm else []), *([batch] for batch in batches if batch[0].step.moves_clock)]
