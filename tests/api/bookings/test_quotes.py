from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from models.domain.policy import PaymentPlan
from models.domain.states import BookingStatus, PaymentStatus
from models.tables.payments import Payment
from tests.api.world import HOUR, JSON, PRICE, Person, World, problem

NOW = datetime.now(UTC)
ACCEPTED = BookingStatus.ACCEPTED


async def paid(world: World, starts_in: timedelta, status: BookingStatus = ACCEPTED) -> UUID:
    """A paid booking with the moderate policy: full refund until 24 hours before, half until 2 hours before."""
    booking_id = await world.booking(await world.slot(starts_in), status=status, next_deadline_at=NOW + 240 * HOUR)
    await world.add(
        Payment(
            booking_id=booking_id,
            plan=PaymentPlan.HOLD,
            status=PaymentStatus.PENDING,
            amount_minor=PRICE.amount_minor,
            currency=PRICE.currency,
            created_at=NOW,
            updated_at=NOW,
        )
    )
    return booking_id


async def quote(client: httpx.AsyncClient, person: Person, booking_id: UUID) -> JSON:
    answer = await client.get(f"/v1/bookings/{booking_id}/cancellation-quote", headers=person.headers)
    assert answer.status_code == 200, answer.text
    shown: JSON = answer.json()
    return shown


def parts(shown: JSON) -> tuple[int, ...]:
    return tuple(shown[part]["amount_minor"] for part in ("refund", "kept", "platform_fee", "instructor_payout"))


@pytest.mark.parametrize(
    ("starts_in", "expected", "tier_hours"),
    [
        (30 * HOUR, (10_000, 0, 0, 0), 24),
        (5 * HOUR, (5_000, 5_000, 1_000, 4_000), 2),
        (HOUR, (0, 10_000, 2_000, 8_000), None),
    ],
)
async def test_a_student_is_quoted_the_tier_and_its_end(
    client: httpx.AsyncClient, world: World, starts_in: timedelta, expected: tuple[int, ...], tier_hours: int | None
) -> None:
    booking_id = await paid(world, starts_in)
    shown = await quote(client, world.student, booking_id)
    booking = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    assert parts(shown) == expected
    assert shown["booking_status"] == "ACCEPTED"
    assert (shown["tier"] or {}).get("before_seconds") == (tier_hours * 3_600 if tier_hours else None)
    before_start = datetime.fromisoformat(booking["starts_at"]) - datetime.fromisoformat(shown["valid_until"])
    assert before_start == (tier_hours or 0) * HOUR


async def test_an_instructors_cancellation_returns_everything(client: httpx.AsyncClient, world: World) -> None:
    shown = await quote(client, world.instructor, await paid(world, HOUR))
    assert parts(shown) == (10_000, 0, 0, 0)
    assert shown["tier"] is None


async def test_a_pending_booking_is_returned_in_full_until_its_deadline(
    client: httpx.AsyncClient, world: World
) -> None:
    shown = await quote(client, world.student, await paid(world, HOUR, BookingStatus.PENDING))
    assert parts(shown) == (10_000, 0, 0, 0)
    assert datetime.fromisoformat(shown["valid_until"]) == NOW + 240 * HOUR


async def test_an_unpaid_booking_returns_nothing(client: httpx.AsyncClient, world: World) -> None:
    shown = await quote(client, world.student, await world.booking())
    assert parts(shown) == (0, 0, 0, 0)


async def test_a_student_gets_no_quote_once_the_session_has_started(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await paid(world, -HOUR / 2)
    path = f"/v1/bookings/{booking_id}/cancellation-quote"
    answer = await client.get(path, headers=world.student.headers)
    assert problem(answer) == (409, "not-possible-now")
    assert answer.json()["booking_status"] == "ACCEPTED"
    assert parts(await quote(client, world.instructor, booking_id)) == (10_000, 0, 0, 0)


async def test_a_booking_that_cannot_be_cancelled_has_no_quote(client: httpx.AsyncClient, world: World) -> None:
    closed = await world.booking(status=BookingStatus.CANCELLED)
    parked = await world.booking(needs_attention=True, attention_reason="settle: declined")
    gone = await world.deleted_booking()
    kinds = {}
    for booking_id in (closed, parked, gone):
        path = f"/v1/bookings/{booking_id}/cancellation-quote"
        kinds[booking_id] = problem(await client.get(path, headers=world.student.headers))
    assert kinds == {
        closed: (409, "booking-closed"),
        parked: (409, "not-possible-now"),
        gone: (410, "booking-deleted"),
    }
