"""The spend limit of a service token, on rows and without a workflow."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.bookings.spending import spend
from api.http.problems import Kind, Problem
from models.domain.actors import Role
from models.domain.money import Money
from models.domain.policy import PaymentPlan
from models.domain.states import BookingStatus, PaymentStatus
from models.tables.payments import Payment
from models.tables.service_tokens import ServiceToken, ServiceTokenBooking
from tests.api.world import PRICE, World

NOW = datetime.now(UTC)


@pytest.fixture
async def token_id(world: World) -> UUID:
    """A token that may spend the price of two bookings."""
    token = ServiceToken(
        id=uuid4(),
        token_hash=uuid4().hex,
        person_id=world.student.id,
        role=Role.STUDENT,
        name="An agent",
        scopes=["bookings:write"],
        spend_limit_minor=2 * PRICE.amount_minor,
        spend_limit_currency="usd",
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    await world.add(token)
    return token.id


async def try_to_spend(engine: AsyncEngine, token_id: UUID, booking_id: UUID, price: Money = PRICE) -> bool:
    try:
        async with AsyncSession(engine) as session, session.begin():
            await spend(session, token_id, booking_id, price, datetime.now(UTC))
    except Problem as problem:
        if problem.kind is Kind.SPEND_LIMIT_REACHED:
            return False
        raise
    return True


async def booked(world: World, token_id: UUID, returned_minor: int | None, **fields: Any) -> None:
    """A booking of the token. It is paid unless `returned_minor` is `None`."""
    booking_id = await world.booking(**fields)
    await world.add(row(booking_id, token_id))
    if returned_minor is not None:
        await world.add(
            Payment(
                booking_id=booking_id,
                plan=PaymentPlan.HOLD,
                status=PaymentStatus.CAPTURED,
                amount_minor=PRICE.amount_minor,
                returned_minor=returned_minor,
                currency="usd",
                created_at=NOW,
                updated_at=NOW,
            )
        )


def row(booking_id: UUID, token_id: UUID, at: datetime = NOW) -> ServiceTokenBooking:
    return ServiceTokenBooking(
        booking_id=booking_id, token_id=token_id, price_minor=PRICE.amount_minor, currency="usd", created_at=at
    )


async def test_limit_is_the_sum_of_the_prices(world: World, token_id: UUID) -> None:
    await booked(world, token_id, returned_minor=0)
    assert await try_to_spend(world.engine, token_id, uuid4())
    assert not await try_to_spend(world.engine, token_id, uuid4(), Money(amount_minor=1, currency="usd"))


@pytest.mark.parametrize(
    ("status", "returned_minor", "left"),
    [
        (BookingStatus.PENDING, None, 10_000),  # not paid yet
        (BookingStatus.ACCEPTED, 0, 10_000),
        (BookingStatus.COMPLETED, 0, 10_000),
        (BookingStatus.COMPLETED, 2_500, 12_500),  # a part refunded
        (BookingStatus.CANCELLED, 10_000, 20_000),  # the hold released
        (BookingStatus.EXPIRED, None, 20_000),  # never paid
    ],
)
async def test_what_is_returned_can_be_spent_again(
    world: World, token_id: UUID, status: BookingStatus, returned_minor: int | None, left: int
) -> None:
    await booked(world, token_id, returned_minor, status=status)
    too_much = Money(amount_minor=left + 1, currency="usd")
    assert not await try_to_spend(world.engine, token_id, uuid4(), too_much)
    assert await try_to_spend(world.engine, token_id, uuid4(), Money(amount_minor=left, currency="usd"))


@pytest.mark.parametrize(("age", "counts"), [(timedelta(minutes=1), True), (timedelta(minutes=6), False)])
async def test_booking_without_a_row_counts_while_it_is_being_reserved(
    world: World, token_id: UUID, age: timedelta, counts: bool
) -> None:
    await world.add(row(uuid4(), token_id, datetime.now(UTC) - age))
    both = Money(amount_minor=2 * PRICE.amount_minor, currency="usd")
    assert await try_to_spend(world.engine, token_id, uuid4(), both) is not counts


async def test_repeated_request_counts_once(world: World, token_id: UUID) -> None:
    booking_id = uuid4()
    for _ in range(3):
        assert await try_to_spend(world.engine, token_id, booking_id)
    async with AsyncSession(world.engine) as session:
        assert len((await session.exec(select(ServiceTokenBooking))).all()) == 1


async def test_another_currency_is_refused(world: World, token_id: UUID) -> None:
    assert not await try_to_spend(world.engine, token_id, uuid4(), Money(amount_minor=1, currency="eur"))
