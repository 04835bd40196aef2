"""The seed data of a local stack."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.stripe.client import stripe_client
from models.db import build_engine
from models.domain.money import Money, chargeable
from models.domain.payment_plans import plan_for
from models.domain.policy import PRESETS, CancellationPolicy, Deadlines, PaymentPlan
from models.tables.catalogue import Offering, Slot
from models.tables.operators import Operator
from models.tables.people import Instructor
from sandbox.seed import add_instructor, add_offering, add_slot, add_student, seed
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from tests.conftest import StripeSandbox

NOW = datetime(2026, 3, 2, 23, 59, tzinfo=UTC)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = build_engine(database_url)
    yield engine
    await engine.dispose()


async def _rows(engine: AsyncEngine) -> dict[str, list[tuple[object, ...]]]:
    async with engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in await connection.execute(table.select().order_by(*table.primary_key))]
            for table in SQLModel.metadata.sorted_tables
        }


async def test_seeding_is_idempotent(database_url: str, stripe_sandbox: StripeSandbox, engine: AsyncEngine) -> None:
    first = await seed(database_url, stripe_sandbox.key, stripe_sandbox.url, NOW)
    rows = await _rows(engine)
    assert await seed(database_url, stripe_sandbox.key, stripe_sandbox.url, NOW) == first
    assert await _rows(engine) == rows
    assert len(first.students) == 4
    assert len(first.instructors) == 3


async def test_seeded_instructors_can_receive_transfers(
    database_url: str, stripe_sandbox: StripeSandbox, engine: AsyncEngine
) -> None:
    await seed(database_url, stripe_sandbox.key, stripe_sandbox.url, NOW)
    async with AsyncSession(engine) as session:
        account_ids = (await session.exec(select(Instructor.stripe_account_id))).all()
    async with stripe_client(stripe_sandbox.key, stripe_sandbox.url) as client:
        for account_id in account_ids:
            assert account_id is not None
            account = await client.v1.accounts.retrieve_async(account_id)
            assert account.capabilities is not None
            assert account.capabilities.transfers == "active"


async def test_offerings_cover_every_policy_preset_and_a_zero_decimal_currency(
    database_url: str, stripe_sandbox: StripeSandbox, engine: AsyncEngine
) -> None:
    seeds = await seed(database_url, stripe_sandbox.key, stripe_sandbox.url, NOW)
    async with AsyncSession(engine) as session:
        offerings = {row.id: row for row in (await session.exec(select(Offering))).all()}
    for name, preset in PRESETS.items():
        offering = offerings[seeds.offerings[name]]
        assert CancellationPolicy.model_validate(offering.cancellation) == preset
        assert (offering.price_minor, offering.currency, offering.duration_minutes) == (10_000, "usd", 60)
    yen = offerings[seeds.offerings["yen"]]
    assert yen.currency == "jpy"
    assert chargeable(Money(amount_minor=yen.price_minor, currency=yen.currency))


@pytest.mark.parametrize("hour", [0, 12, 23])
async def test_slots_fit_into_a_hold_and_do_not_overlap_within_an_offering(
    database_url: str, stripe_sandbox: StripeSandbox, engine: AsyncEngine, hour: int
) -> None:
    now = NOW.replace(hour=hour, minute=0)
    seeds = await seed(database_url, stripe_sandbox.key, stripe_sandbox.url, now)
    async with AsyncSession(engine) as session:
        slots = (await session.exec(select(Slot))).all()
    assert {slot.id for slot in slots} == {slot_id for slot_ids in seeds.slots.values() for slot_id in slot_ids}
    for slot in slots:
        assert now < slot.starts_at < slot.ends_at
        is_far = slot.id in seeds.slots["far"]
        expected = PaymentPlan.CHARGE_THEN_TRANSFER if is_far else PaymentPlan.HOLD
        assert plan_for(Deadlines(), slot.ends_at, now) is expected
    times = {(slot.offering_id, slot.starts_at) for slot in slots}
    assert len(times) == len(slots)


async def test_seeding_on_a_later_day_adds_slots(
    database_url: str, stripe_sandbox: StripeSandbox, engine: AsyncEngine
) -> None:
    first = await seed(database_url, stripe_sandbox.key, stripe_sandbox.url, NOW)
    second = await seed(database_url, stripe_sandbox.key, stripe_sandbox.url, NOW + timedelta(days=1))
    assert second.offerings == first.offerings
    assert len(set(second.slots["strict"]) - set(first.slots["strict"])) == 4


async def test_live_key_is_refused_before_anything_is_written(database_url: str, engine: AsyncEngine) -> None:
    with pytest.raises(ValueError, match="not a test key") as caught:
        await seed(database_url, "sk_live_secret")
    assert "secret" not in str(caught.value)
    assert not any((await _rows(engine)).values())


async def test_command_prints_the_ids_as_json(database_url: str, stripe_sandbox: StripeSandbox) -> None:
    environment = {
        "DATABASE_URL": database_url,
        "HOLDFAST_ENV": "development",
        "STRIPE_API_KEY": stripe_sandbox.key,
        "STRIPE_API_BASE": stripe_sandbox.url,
    }
    completed = await asyncio.to_thread(
        subprocess.run,
        python("-m", "sandbox.seed"),
        env=child_environment(environment),
        cwd=PROJECT_ROOT,
        check=True,
        capture_output=True,
    )
    printed = json.loads(completed.stdout)
    assert set(printed) == {"students", "instructors", "offerings", "slots", "operator"}
    assert set(printed["offerings"]) == {"flexible", "moderate", "strict", "yen", "soon", "far"}


async def test_slot_belongs_to_its_offerings_instructor(engine: AsyncEngine) -> None:
    await add_student(engine)
    instructor_id = await add_instructor(engine, "acct_1")
    offering_id = await add_offering(engine, instructor_id)
    slot_id = await add_slot(engine, offering_id, NOW, NOW + timedelta(seconds=4))
    async with AsyncSession(engine) as session:
        slot = await session.get(Slot, slot_id)
    assert slot is not None
    assert slot.instructor_id == instructor_id


async def test_slot_of_an_unknown_offering_is_refused(engine: AsyncEngine) -> None:
    with pytest.raises(LookupError):
        await add_slot(engine, uuid4(), NOW, NOW + timedelta(hours=1))


async def test_offering_below_stripes_minimum_is_refused(engine: AsyncEngine) -> None:
    instructor_id = await add_instructor(engine, None)
    with pytest.raises(ValueError, match="below the least"):
        await add_offering(engine, instructor_id, Money(amount_minor=49, currency="usd"))


async def test_a_whole_booking_can_be_played_in_five_minutes(
    database_url: str, stripe_sandbox: StripeSandbox, engine: AsyncEngine
) -> None:
    seeds = await seed(database_url, stripe_sandbox.key, stripe_sandbox.url, NOW)
    async with AsyncSession(engine) as session:
        first = await session.get_one(Slot, seeds.slots["soon"][0])
        assert await session.get(Operator, seeds.operator) is not None
        second = await session.get_one(Slot, seeds.slots["soon"][1])
    assert timedelta(minutes=2) <= first.starts_at - NOW <= timedelta(minutes=4)
    assert first.ends_at - first.starts_at == timedelta(minutes=1)
    assert second.starts_at - first.starts_at == timedelta(minutes=2)
