"""Bookings that are refused before a workflow is started. Temporal is down here, so a 503 means: not refused."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from models.domain.actors import Role
from models.domain.ids import booking_id
from models.domain.money import Money
from models.domain.states import BookingStatus
from tests.api.world import HOUR, Person, World, add_student, book, problem

REACHED = (503, "unavailable")


async def test_a_booking_can_be_retried_while_temporal_is_down(client: httpx.AsyncClient, world: World) -> None:
    answer = await book(client, world.student, await world.slot())
    assert problem(answer) == REACHED
    assert answer.headers["retry-after"]
    assert "same Idempotency-Key" in answer.json()["detail"]


async def test_a_booking_whose_page_is_not_recorded_yet_is_not_refused(client: httpx.AsyncClient, world: World) -> None:
    """The workflow has answered, and its record of the page takes longer: Postgres is slow."""
    slot_id, key = await world.slot(), "first"
    page = "https://checkout.example/page"
    await world.booking(slot_id, id=booking_id(world.student.id, key), checkout_url=page)
    answer = await book(client, world.student, slot_id, key=key)
    assert (answer.status_code, answer.json()["checkout_url"]) == (201, page)


async def test_a_booking_without_a_key_is_refused(client: httpx.AsyncClient, world: World) -> None:
    body = {"slot_id": str(await world.slot())}
    answer = await client.post("/v1/bookings", json=body, headers=world.student.headers)
    assert problem(answer) == (400, "idempotency-key-required")


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb", "\xe9"])
async def test_a_key_that_is_too_long_or_not_printable_is_refused(
    client: httpx.AsyncClient, world: World, key: str
) -> None:
    headers = [*world.student.headers.items(), ("Idempotency-Key", key.encode("latin-1"))]
    body = {"slot_id": str(await world.slot())}
    answer = await client.post("/v1/bookings", json=body, headers=headers)  # type: ignore[arg-type]
    assert problem(answer) == (400, "idempotency-key-required")


async def test_a_key_of_255_characters_is_accepted(client: httpx.AsyncClient, world: World) -> None:
    assert problem(await book(client, world.student, await world.slot(), key="~" * 255)) == REACHED


async def test_a_key_reused_with_another_body_is_refused_even_after_its_booking_was_deleted(
    client: httpx.AsyncClient, world: World
) -> None:
    key, past = "first", await world.slot(starts_in=-timedelta(seconds=1))
    assert problem(await book(client, world.student, await world.slot(), key=key)) == REACHED
    assert problem(await book(client, world.student, past, key=key)) == (422, "idempotency-key-reused")
    await world.deleted_booking(booking_id(world.student.id, key))
    assert problem(await book(client, world.student, past, key=key)) == (422, "idempotency-key-reused")


async def test_an_unknown_slot_is_not_found(client: httpx.AsyncClient, world: World) -> None:
    assert problem(await book(client, world.student, uuid4())) == (404, "not-found")


async def test_a_slot_that_has_started_is_refused(client: httpx.AsyncClient, world: World) -> None:
    slot_id = await world.slot(starts_in=-timedelta(seconds=1))
    assert problem(await book(client, world.student, slot_id)) == (409, "slot-in-the-past")


async def test_an_instructor_who_cannot_be_paid_cannot_be_booked(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    world = await World.create(engine, stripe_account_id=None)
    assert problem(await book(client, world.student, await world.slot())) == (409, "instructor-not-payable")


@pytest.mark.parametrize(
    ("price", "detail"),
    [(Money(amount_minor=49, currency="usd"), "0.50 USD"), (Money(amount_minor=501, currency="kwd"), "10")],
)
async def test_a_price_that_stripe_cannot_charge_is_refused(
    client: httpx.AsyncClient, engine: AsyncEngine, price: Money, detail: str
) -> None:
    world = await World.create(engine, price=price)
    answer = await book(client, world.student, await world.slot())
    assert problem(answer) == (422, "price-not-chargeable")
    assert detail in answer.json()["detail"]


async def test_a_session_beyond_the_limit_is_refused_with_the_time_it_becomes_bookable(
    client: httpx.AsyncClient, world: World
) -> None:
    # 90 days, less six hours of margin, a day to report completion and a day to object.
    reach = timedelta(days=87, hours=18)
    too_far = await world.slot(starts_in=reach + 2 * HOUR)
    before = datetime.now(UTC)
    answer = await book(client, world.student, too_far, key="too far")
    assert problem(answer) == (422, "session-too-far-ahead")
    bookable_in = datetime.fromisoformat(answer.json()["bookable_from"]) - before
    assert 2 * HOUR < bookable_in < 4 * HOUR
    assert answer.json()["bookable_from"] in answer.json()["detail"]
    within_reach = await world.slot(starts_in=reach - 2 * HOUR)
    assert problem(await book(client, world.student, within_reach, key="within reach")) == REACHED


async def test_a_slot_that_overlaps_another_booking_is_taken(client: httpx.AsyncClient, world: World) -> None:
    await world.booking(await world.slot(timedelta(hours=24)))
    overlapping = await world.slot(timedelta(hours=24, minutes=59))
    assert problem(await book(client, await add_student(world.engine), overlapping)) == (409, "slot-taken")


async def test_a_slot_next_to_another_booking_is_free(client: httpx.AsyncClient, world: World) -> None:
    await world.booking(await world.slot(timedelta(hours=24)))
    after = await world.slot(timedelta(hours=25, seconds=1))
    assert problem(await book(client, await add_student(world.engine), after)) == REACHED


async def test_the_slot_of_a_closed_booking_is_free(client: httpx.AsyncClient, world: World) -> None:
    slot_id = await world.slot()
    await world.booking(slot_id, status=BookingStatus.CANCELLED)
    assert problem(await book(client, await add_student(world.engine), slot_id)) == REACHED


async def test_a_student_token_without_an_account_is_refused(client: httpx.AsyncClient, world: World) -> None:
    answer = await book(client, Person(Role.STUDENT), await world.slot())
    assert problem(answer) == (403, "no-account")


async def test_a_key_reused_for_another_slot_is_refused(client: httpx.AsyncClient, world: World) -> None:
    assert problem(await book(client, world.student, await world.slot())) == REACHED
    answer = await book(client, world.student, await world.slot(timedelta(days=1)))
    assert problem(answer) == (422, "idempotency-key-reused")


async def test_a_retry_after_the_booking_was_deleted_is_gone(client: httpx.AsyncClient, world: World) -> None:
    await world.deleted_booking(booking_id(world.student.id, "first"))
    answer = await book(client, world.student, await world.slot())
    assert problem(answer) == (410, "booking-deleted")


async def test_a_retry_after_the_booking_was_closed_returns_it_with_nothing_to_pay(
    client: httpx.AsyncClient, world: World
) -> None:
    slot_id = await world.slot()
    created = await world.booking(
        slot_id,
        id=booking_id(world.student.id, "first"),
        status=BookingStatus.CANCELLED,
        checkout_session_id="cs_1",
        next_deadline_at=None,
    )
    answer = await book(client, world.student, slot_id)
    assert answer.status_code == 201
    assert answer.json()["id"] == str(created)
    assert answer.json()["status"] == "CANCELLED"
    assert answer.json()["checkout_url"] is None
    assert answer.json()["expires_at"] is None
