"""Plays the rounds of random histories, and shortens a round that fails."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sandbox.demo.people import Json, Unexpected
from sandbox.demo.steps import IN_TWO_DAYS, IN_WEEKS, wait_until
from sandbox.faults import acts, finish
from sandbox.faults.histories import Turn
from sandbox.faults.invariants import violations
from sandbox.faults.market import FaultyMarket
from sandbox.faults.plays import Play

_STARTS_IN: Final = (timedelta(seconds=15), timedelta(seconds=25), timedelta(hours=12), IN_TWO_DAYS, IN_WEEKS)
_COPIES: Final = 4
"""So often may a mail come whose sender dies several times."""
_READY_SECONDS: Final = 20
_AFTER_START: Final = ("confirm", "complete", "object", "report_student_absent", "report_instructor_absent")
_ONCE_PAID: Final = ("approve", "reject")


async def play(faulty: FaultyMarket, turns: Sequence[Turn]) -> list[str]:
    """What one round violates."""
    since = datetime.now(UTC) - timedelta(seconds=1)
    numbers = {turn.booking: turn.number for turn in reversed(turns) if turn.booking is not None}
    plays = {}
    for booking, number in numbers.items():
        pair = await faulty.pair(booking, _STARTS_IN[number % len(_STARTS_IN)])
        plays[booking] = Play(market=faulty.market, pair=pair, copies=_COPIES)
    begun = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for turn in turns:
            of_turn = None if turn.booking is None else plays[turn.booking]
            group.create_task(_play_turn(faulty, turn, of_turn, begun))
    await faulty.clear_faults()
    await faulty.market.control_stripe("/deliveries", {})
    # Brings the events that were lost, and ends the bookings whose workflow was terminated.
    await faulty.market.reconcile()
    ends = await asyncio.gather(*(_finish(each) for each in plays.values()))
    problems = [f"booking {booking}: {end}" for booking, end in zip(plays, ends, strict=True) if end]
    problems += await faulty.calm_down(list(plays.values()))
    found = await faulty.books(plays.values(), since)
    for booking, each in plays.items():
        problems += [f"booking {booking}: {line}" for line in violations(each, found[each.booking_id])]
    return problems + await faulty.problems()


async def shortest_prefix(turns: Sequence[Turn], fails: Callable[[Sequence[Turn]], Awaitable[bool]]) -> Sequence[Turn]:
    """The fewest of the first turns that still fail, by a binary search."""
    passing, failing = 0, len(turns)
    while failing - passing > 1:
        middle = (passing + failing) // 2
        if await fails(turns[:middle]):
            failing = middle
        else:
            passing = middle
    return turns[:failing]


async def _play_turn(faulty: FaultyMarket, turn: Turn, play: Play | None, begun: float) -> None:
    await asyncio.sleep(max(0.0, begun + turn.at - asyncio.get_running_loop().time()))
    # What comes at the wrong time does nothing.
    with contextlib.suppress(*acts.IMPOSSIBLE, Unexpected):
        if play is None:
            await acts.TROUBLES[turn.act](faulty, turn.number)
        else:
            await _until_ready(play, turn.act)
            await acts.ACTS[turn.act](play, turn.number)


async def _until_ready(play: Play, act: str) -> None:
    """Wait for what the act needs, if that can be waited for. If it never comes, people try nevertheless."""
    for _ in range(_READY_SECONDS):
        seen = await play.look()
        if _is_ready(seen, act):
            break
        await asyncio.sleep(1)
    if act in _AFTER_START and play.starts_at - datetime.now(UTC) < max(_STARTS_IN[:2]):
        await wait_until(play.starts_at)


def _is_ready(seen: Json, act: str) -> bool:
    if act == "pay":
        return bool(seen.get("checkout_url") or seen.get("payment"))
    if act in _ONCE_PAID:
        return bool(seen.get("payment"))
    return bool(seen["status"] != "PENDING") or act not in (*_AFTER_START, "propose")


async def _finish(play: Play) -> str | None:
    """Why the booking never ends, if so."""
    try:
        await finish.finish(play, operator_decides=True)
        await finish.accept_disputes(play)
    except (finish.NeverEnded, Unexpected) as error:
        return f"it never ends: {error}"
    return None
