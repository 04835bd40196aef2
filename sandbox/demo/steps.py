"""What journeys have in common: the steps to a booking, and its outcome."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from models.domain.actors import Role
from sandbox.browser.checkout_page import pay
from sandbox.demo.marketplace import SESSION_LENGTH, Marketplace, Pair
from sandbox.demo.people import Json

TONIGHT = timedelta(hours=6)
TOMORROW = timedelta(hours=12)
IN_TWO_DAYS = timedelta(hours=48)
IN_WEEKS = timedelta(days=21)
"""Later than a hold lasts."""
IN_MONTHS = timedelta(days=60)
_CLOCK_STEP = timedelta(milliseconds=200)


@dataclass(frozen=True)
class JourneyResult:
    """What the API returns to the student at the end of a journey."""

    booking_id: str | None
    """None if the booking was refused."""
    response: Json


Journey = Callable[[Marketplace], Awaitable[JourneyResult]]


async def paid(pair: Pair, pay: Callable[[str], Awaitable[bool]] = pay) -> str:
    """A booking whose money is held, or charged."""
    booking = await pair.student.book(pair.slot_id)
    await pay(booking["checkout_url"])
    await pair.student.wait_until(booking["id"], payment__status="PENDING")
    return str(booking["id"])


async def accepted(pair: Pair) -> str:
    booking_id = await paid(pair)
    await pair.instructor.decide(booking_id, "approve")
    return booking_id


async def opened(marketplace: Marketplace, starts_in: timedelta) -> tuple[Pair, str]:
    """An accepted booking, in its turn."""
    async with marketplace.opening(starts_in) as pair:
        return pair, await accepted(pair)


async def started(marketplace: Marketplace) -> tuple[Pair, str]:
    """An accepted booking whose session has started."""
    pair, booking_id = await opened(marketplace, marketplace.soon)
    await wait_for_start(pair)
    return pair, booking_id


async def ended(marketplace: Marketplace, *present: Role) -> tuple[Pair, str]:
    """An accepted booking whose session is over. Those who are `present` were in the meeting all the time."""
    pair, booking_id = await opened(marketplace, marketplace.soon)
    for person in (pair.student, pair.instructor):
        if person.role in present:
            await person.join(booking_id)
    await wait_until(pair.starts_at + SESSION_LENGTH)
    return pair, booking_id


async def confirmed(marketplace: Marketplace) -> tuple[Pair, str]:
    """A session that the student confirmed."""
    pair, booking_id = await started(marketplace)
    await pair.student.decide(booking_id, "confirm")
    await session_result(pair, booking_id, "COMPLETED")
    return pair, booking_id


async def wait_for_start(pair: Pair) -> None:
    await wait_until(pair.starts_at)


async def wait_until(time: datetime) -> None:
    time_left = time - datetime.now(UTC) + _CLOCK_STEP
    await asyncio.sleep(max(0.0, time_left.total_seconds()))


async def session_result(pair: Pair, booking_id: str, status: str) -> JourneyResult:
    return JourneyResult(booking_id, await pair.student.wait_until(booking_id, status=status, session__status=status))


async def booking_result(pair: Pair, booking_id: str, status: str) -> JourneyResult:
    return JourneyResult(booking_id, await pair.student.wait_until(booking_id, status=status))


async def moved(marketplace: Marketplace, pair: Pair, booking_id: str, starts_in: timedelta) -> Pair:
    """The student proposes another time, and the instructor accepts it."""
    slot_id, starts_at = await marketplace.add_free_slot(pair.instructor, starts_in)
    await pair.student.decide(booking_id, "reschedule", {"slot_id": str(slot_id)})
    await pair.instructor.decide(booking_id, "reschedule/accept", {"slot_id": str(slot_id)})
    return replace(pair, slot_id=slot_id, starts_at=starts_at)
