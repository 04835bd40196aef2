"""Seed data for `./run up`: sample people and a catalogue. `python -m sandbox.seed` prints their ids as JSON.

The people are written to the database and have no password. The demo does not use them.

Seeding is idempotent within a day. On a later day it adds the slots of the days that are newly within range.
"""

import asyncio
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid4, uuid5

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from stripe import StripeClient

from activities.stripe.client import stripe_client
from models.db import build_engine
from models.domain.actors import Capability
from models.domain.money import Money, chargeable
from models.domain.policy import FLEXIBLE, MODERATE, STRICT, CancellationPolicy
from models.settings import RuntimeSettings, StripeSettings
from models.tables.catalogue import Offering, Slot
from models.tables.operators import Operator
from models.tables.people import Instructor, Student
from sandbox.stack.connected_accounts import create_connected_account

_NAMESPACE = UUID("6a3e4b0e-52c1-5d5f-9d43-1c0b8f2f7a55")
_HUNDRED_DOLLARS = Money(amount_minor=10_000, currency="usd")
_STUDENTS = ("Ada Byron", "Kenji Sato", "Lucía Marín", "Noor Haddad")
_INSTRUCTORS = (("Clara", "Wieck", "Europe/Berlin"), ("Toru", "Takemitsu", "Asia/Tokyo"),
                ("Nadia", "Boulanger", "Europe/Paris"))  # fmt: skip
_OPERATOR = "Olu Adeyemi"
_DAYS_AHEAD = 5
_HOURS_OF_DAY = (9, 11, 14, 16)
_SOON = 60
"""Slots of a minute, one every other minute: two hours of them."""


@dataclass(frozen=True)
class _Listing:
    """An offering to seed. `instructor` is an index into `_INSTRUCTORS`."""

    name: str
    instructor: int
    title: str
    price: Money
    cancellation: CancellationPolicy
    minutes: int = 60


_LISTINGS = (
    _Listing("flexible", 0, "Piano: sight-reading", _HUNDRED_DOLLARS, FLEXIBLE),
    _Listing("moderate", 1, "Composition: colour and silence", _HUNDRED_DOLLARS, MODERATE),
    _Listing("strict", 2, "Counterpoint", _HUNDRED_DOLLARS, STRICT),
    _Listing("yen", 1, "作曲入門", Money(amount_minor=15_000, currency="jpy"), MODERATE),
    _Listing("soon", 0, "A minute at the piano", Money(amount_minor=1_000, currency="usd"), FLEXIBLE, 1),
    _Listing("far", 2, "An evening of fugues", _HUNDRED_DOLLARS, MODERATE, 120),
)


@dataclass(frozen=True)
class Seeds:
    """The ids of the seed data. Offerings and their slots are keyed by their policy's name, or `yen`, `soon`, `far`."""

    students: tuple[UUID, ...]
    instructors: tuple[UUID, ...]
    offerings: dict[str, UUID]
    slots: dict[str, tuple[UUID, ...]]
    operator: UUID


async def seed(
    database_url: str, stripe_api_key: str, stripe_api_base: str | None = None, now: datetime | None = None
) -> Seeds:
    """Create the seed data. Raises `ValueError` for a live key, since the people are fictional."""
    if not stripe_api_key.startswith(("sk_test_", "rk_test_")):
        raise ValueError("seeds are for Stripe's test mode and for the sandbox: STRIPE_API_KEY is not a test key")
    now = now or datetime.now(UTC)
    engine = build_engine(database_url)
    try:
        async with stripe_client(stripe_api_key, stripe_api_base) as client:
            return await _seed(engine, client, now)
    finally:
        await engine.dispose()


async def add_student(
    engine: AsyncEngine,
    name: str = "Ada Byron",
    email: str | None = None,
    *,
    student_id: UUID | None = None,
    time_zone: str = "UTC",
) -> UUID:
    """Each `add_…` function returns the row's id, and does nothing if a row with that id exists."""
    student_id = student_id or uuid4()
    student = Student(
        id=student_id,
        email=email or f"{student_id}@students.example",
        name=name,
        time_zone=time_zone,
        created_at=datetime.now(UTC),
    )
    await _add(engine, student)
    return student_id


async def add_instructor(
    engine: AsyncEngine,
    stripe_account_id: str | None,
    name: str = "Clara Wieck",
    email: str | None = None,
    *,
    instructor_id: UUID | None = None,
    time_zone: str = "UTC",
) -> UUID:
    instructor_id = instructor_id or uuid4()
    instructor = Instructor(
        id=instructor_id,
        email=email or f"{instructor_id}@instructors.example",
        name=name,
        time_zone=time_zone,
        stripe_account_id=stripe_account_id,
        # `create_connected_account` makes accounts that are onboarded already.
        transfers=Capability.ACTIVE if stripe_account_id else None,
        created_at=datetime.now(UTC),
    )
    await _add(engine, instructor)
    return instructor_id


async def add_offering(
    engine: AsyncEngine,
    instructor_id: UUID,
    price: Money = _HUNDRED_DOLLARS,
    cancellation: CancellationPolicy = MODERATE,
    *,
    title: str = "Counterpoint",
    duration: timedelta = timedelta(minutes=60),
    offering_id: UUID | None = None,
) -> UUID:
    """Raises `ValueError` for a price that Stripe cannot charge."""
    offering_id = offering_id or uuid4()
    offering = Offering(
        id=offering_id,
        instructor_id=instructor_id,
        title=title,
        duration_minutes=duration // timedelta(minutes=1),
        price_minor=chargeable(price).amount_minor,
        currency=price.currency,
        cancellation=cancellation.model_dump(mode="json"),
        created_at=datetime.now(UTC),
    )
    await _add(engine, offering)
    return offering_id


async def add_slot(
    engine: AsyncEngine, offering_id: UUID, starts_at: datetime, ends_at: datetime, *, slot_id: UUID | None = None
) -> UUID:
    """Raises `LookupError` for an unknown offering."""
    slot_id = slot_id or uuid4()
    async with AsyncSession(engine) as session:
        offering = await session.get(Offering, offering_id)
    if offering is None:
        raise LookupError(f"no offering {offering_id}")
    slot = Slot(
        id=slot_id,
        offering_id=offering_id,
        instructor_id=offering.instructor_id,
        starts_at=starts_at,
        ends_at=ends_at,
    )
    await _add(engine, slot)
    return slot_id


async def _add(engine: AsyncEngine, row: SQLModel) -> None:
    statement = insert(type(row)).values(row.model_dump()).on_conflict_do_nothing(index_elements=["id"])
    async with AsyncSession(engine) as session, session.begin():
        await session.exec(statement)


async def _seed(engine: AsyncEngine, client: StripeClient, now: datetime) -> Seeds:
    students = [
        await add_student(engine, name, f"student{number}@students.example", student_id=_id(f"student {number}"))
        for number, name in enumerate(_STUDENTS, start=1)
    ]
    instructors = [await _seed_instructor(engine, client, number) for number in range(len(_INSTRUCTORS))]
    offerings: dict[str, UUID] = {}
    slots: dict[str, tuple[UUID, ...]] = {}
    for listing in _LISTINGS:
        offerings[listing.name] = await add_offering(
            engine,
            instructors[listing.instructor],
            listing.price,
            listing.cancellation,
            title=listing.title,
            duration=timedelta(minutes=listing.minutes),
            offering_id=_id(f"offering {listing.name}"),
        )
        slots[listing.name] = tuple(
            [
                await _seed_slot(engine, offerings[listing.name], starts_at, timedelta(minutes=listing.minutes))
                for starts_at in _slot_starts(listing.name, now)
            ]
        )
    return Seeds(tuple(students), tuple(instructors), offerings, slots, await _seed_operator(engine))


async def _seed_operator(engine: AsyncEngine) -> UUID:
    operator_id = _id("operator")
    await _add(engine, Operator(id=operator_id, name=_OPERATOR, created_at=datetime.now(UTC)))
    return operator_id


async def _seed_instructor(engine: AsyncEngine, client: StripeClient, number: int) -> UUID:
    first_name, last_name, time_zone = _INSTRUCTORS[number]
    instructor_id, email = _id(f"instructor {number}"), f"{last_name.lower()}@instructors.example"
    if not await _exists(engine, instructor_id):
        account_id = await create_connected_account(client, instructor_id, first_name, last_name, email)
        await add_instructor(
            engine,
            account_id,
            f"{first_name} {last_name}",
            email,
            instructor_id=instructor_id,
            time_zone=time_zone,
        )
    return instructor_id


async def _seed_slot(engine: AsyncEngine, offering_id: UUID, starts_at: datetime, lasts: timedelta) -> UUID:
    slot_id = _id(f"slot {offering_id} {starts_at.isoformat()}")
    return await add_slot(engine, offering_id, starts_at, starts_at + lasts, slot_id=slot_id)


async def _exists(engine: AsyncEngine, instructor_id: UUID) -> bool:
    async with AsyncSession(engine) as session:
        return (
            await session.exec(select(Instructor.id).where(col(Instructor.id) == instructor_id))
        ).first() is not None


def _slot_starts(name: str, now: datetime) -> list[datetime]:
    """From tomorrow until the last day that a hold covers, at whatever hour of today it is placed.

    Some `soon`, to play a whole booking in five minutes, and an evening in three weeks, which no hold covers.
    """
    midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    if name == "soon":
        first = now.replace(minute=now.minute // 2 * 2, second=0, microsecond=0)
        return [first + timedelta(minutes=2 * count) for count in range(2, _SOON + 2)]
    if name == "far":
        return [midnight + timedelta(weeks=3, hours=18)]
    return [midnight + timedelta(days=day, hours=hour) for day in range(1, _DAYS_AHEAD + 1) for hour in _HOURS_OF_DAY]


def _id(name: str) -> UUID:
    return uuid5(_NAMESPACE, name)


async def _main() -> None:
    runtime, stripe = RuntimeSettings(), StripeSettings()
    seeds = await seed(
        runtime.database_url.get_secret_value(), stripe.stripe_api_key.get_secret_value(), stripe.stripe_api_base
    )
    print(json.dumps(asdict(seeds), default=str, indent=2))


if __name__ == "__main__":
    asyncio.run(_main())
