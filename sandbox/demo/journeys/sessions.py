"""Sessions that took place, and sessions that did not."""

from datetime import UTC, datetime, timedelta

from models.domain.actors import Role
from sandbox.demo.marketplace import Marketplace, Pair
from sandbox.demo.people import Unexpected
from sandbox.demo.steps import JourneyResult, confirmed, ended, session_result

_EXTENSION = timedelta(seconds=5)


async def completed(marketplace: Marketplace) -> JourneyResult:
    """The meeting's record has both of them: captured at once."""
    pair, booking_id = await ended(marketplace, Role.STUDENT, Role.INSTRUCTOR)
    booking = await pair.instructor.decide(booking_id, "complete")
    if booking["status"] != "COMPLETED":
        raise Unexpected(f"the completion was not captured at once: {booking}")
    return await session_result(pair, booking_id, "COMPLETED")


async def completed_unseen(marketplace: Marketplace) -> JourneyResult:
    """The meeting's record has nothing, and the student does not object."""
    pair, booking_id = await _reported_as_completed(marketplace)
    return await session_result(pair, booking_id, "COMPLETED")


async def completed_confirmed(marketplace: Marketplace) -> JourneyResult:
    """The student confirms the session, before its end."""
    pair, booking_id = await confirmed(marketplace)
    return JourneyResult(booking_id, await pair.student.get_booking(booking_id))


async def completed_contradicted(marketplace: Marketplace) -> JourneyResult:
    """The instructor never came and reports a completion. The student, who was there, says nothing."""
    pair, booking_id = await _reported_as_completed(marketplace, Role.STUDENT)
    return await session_result(pair, booking_id, "NO_SHOW")


async def completed_objected(marketplace: Marketplace) -> JourneyResult:
    """The student objects, the meeting's record has nothing, and an operator refunds half."""
    pair, booking_id = await _reported_as_completed(marketplace)
    await pair.student.decide(booking_id, "object", {"reason": "We only spoke for half an hour, by phone."})
    operator = marketplace.operator()
    booking = await operator.get_booking(booking_id)
    if not booking["needs_attention"]:
        raise Unexpected(f"no operator is asked about the objection: {booking}")
    await operator.call("POST", f"/operator/bookings/{booking_id}/refund", json={"amount_minor": 5_000})
    return await session_result(pair, booking_id, "COMPLETED")


async def _reported_as_completed(marketplace: Marketplace, *present: Role) -> tuple[Pair, str]:
    """A session whose completion the meeting's record does not show, so the student can object."""
    pair, booking_id = await ended(marketplace, *present)
    booking = await pair.instructor.decide(booking_id, "complete")
    if booking["session"]["status"] != "COMPLETION_REPORTED":
        raise Unexpected(f"the student was not asked about the completion: {booking}")
    return pair, booking_id


async def instructor_no_show(marketplace: Marketplace) -> JourneyResult:
    pair, booking_id = await ended(marketplace)
    await pair.student.decide(booking_id, "no-show", {"absent": "instructor"})
    return await session_result(pair, booking_id, "NO_SHOW")


async def student_no_show(marketplace: Marketplace) -> JourneyResult:
    pair, booking_id = await ended(marketplace)
    await pair.instructor.decide(booking_id, "no-show", {"absent": "student"})
    return await session_result(pair, booking_id, "NO_SHOW")


async def no_show_contested(marketplace: Marketplace) -> JourneyResult:
    """The instructor reports a no-show of the student, but the meeting's record has both of them."""
    pair, booking_id = await ended(marketplace, Role.STUDENT, Role.INSTRUCTOR)
    await pair.instructor.decide(booking_id, "no-show", {"absent": "student"})
    await pair.student.decide(booking_id, "no-show/contest")
    return await session_result(pair, booking_id, "COMPLETED")


async def completion_timeout(marketplace: Marketplace) -> JourneyResult:
    """Nobody reports anything. The deadline is a day away, so an operator moves it closer."""
    pair, booking_id = await ended(marketplace)
    until = datetime.now(UTC) + _EXTENSION
    await marketplace.operator().call(
        "POST", f"/operator/bookings/{booking_id}/extend", json={"until": until.isoformat()}
    )
    return await session_result(pair, booking_id, "CANCELLED")


async def reset_after_settlement(marketplace: Marketplace) -> JourneyResult:
    """The workflow of a captured booking is reset to its start, with the button in Temporal's UI. Nothing moves."""
    pair, booking_id = await confirmed(marketplace)
    await marketplace.reset_to_start(f"booking-{booking_id}")
    return await session_result(pair, booking_id, "COMPLETED")
