"""Charges that are transferred later, in every report: earned when they are settled, whatever was charged before."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking.records import RecordActivities
from activities.database import ledger
from models.domain import postings
from models.domain.actors import AbsentParty
from models.domain.endings import completed, no_show, rejected
from models.domain.payments import HoldPhase, PaymentState
from models.domain.policy import PaymentPlan
from models.domain.terms import BookingTerms
from tests.activities.bookings import NOW, STARTS_AT, Bookings, authorization, charged, ended, reserve
from tests.api.reports.ledger_story import earnings, money
from tests.api.world import Person, World, add_instructor

LATER = NOW + timedelta(days=40)


@pytest.fixture
async def market(world: World) -> Bookings:
    """Four charges of 100.00 usd, each with 3.20 of Stripe's fees: transferred, half kept, released and still held."""
    market = Bookings(world.engine, RecordActivities(world.engine))
    done, absent, refused, _ = [await _charged(market, day) for day in range(4)]
    for terms in (done, absent):
        await market.records.record_acceptance(market.acceptance(terms))
    instructor = market.instructor
    full = _settled(done, refunded=0, transferred=8_000)
    await market.records.record_ending(ended(done, completed(done, instructor), full, LATER))
    half = _settled(absent, refunded=5_000, transferred=4_000)
    await market.records.record_ending(ended(absent, no_show(absent, AbsentParty.STUDENT, instructor), half, LATER))
    released = charged(refused).model_copy(update={"phase": HoldPhase.GONE, "refunded_minor": 10_000})
    await market.records.record_ending(ended(refused, rejected(refused, instructor), released, LATER))
    return market


async def _charged(market: Bookings, day: int) -> BookingTerms:
    terms = await market.terms(STARTS_AT + timedelta(days=30 + day))
    terms = terms.model_copy(update={"plan": PaymentPlan.CHARGE_THEN_TRANSFER})
    assert await market.records.reserve_slot(reserve(terms))
    await market.records.record_authorization(authorization(terms))
    return terms


def _settled(terms: BookingTerms, refunded: int, transferred: int) -> PaymentState:
    update = {"phase": HoldPhase.CAPTURED, "refunded_minor": refunded, "transferred_minor": transferred}
    return charged(terms).model_copy(update=update)


async def read(client: httpx.AsyncClient, person: Person, path: str) -> Any:
    answer = await client.get(path, headers=person.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.usefixtures("market")
async def test_metrics_count_a_charge_once_it_is_settled(client: httpx.AsyncClient, world: World) -> None:
    path = "/v1/metrics/business?since=2026-03-01&until=2026-05-01"
    march, april = (await read(client, world.operator, path))["data"]
    assert (march["bookings"], march["bookings_paid"], march["payments"]) == (4, 2, 0)
    assert (april["payments"], april["refund_bps"]) == (2, 0)
    assert [month["gross_volume"]["amount_minor"] for month in (march, april)] == [0, 15_000]
    assert [month["refunded"]["amount_minor"] for month in (march, april)] == [0, 0]
    assert [month["platform_revenue"]["amount_minor"] for month in (march, april)] == [0, 3_000]
    assert [month["stripe_fees"]["amount_minor"] for month in (march, april)] == [1_280, 0]


@pytest.mark.usefixtures("market")
async def test_a_month_has_the_fees_of_charges_that_were_released(client: httpx.AsyncClient, world: World) -> None:
    (march,) = (await read(client, world.operator, "/v1/operator/reports/2026-03"))["data"]
    (april,) = (await read(client, world.operator, "/v1/operator/reports/2026-04"))["data"]
    assert march["earnings"] == earnings(0, 0, 0, 0, 0, 0, 0)
    assert (march["stripe_fees"], march["result"]) == (money(1_280).model_dump(), money(-1_280).model_dump())
    assert april["earnings"] == earnings(2, 15_000, 0, 0, 3_000, 12_000, 0)
    closing = {each["account"]: each["closing"]["amount_minor"] for each in april["accounts"]}
    assert (closing["student_funds_held"], closing["refunds"]) == (-10_000, 0)
    assert closing["stripe_balance"] == 40_000 - 15_000 - 12_000 - 1_280


async def test_statement_and_tax_report_have_what_was_settled(
    client: httpx.AsyncClient, world: World, market: Bookings
) -> None:
    instructor = Person(world.instructor.role, market.instructor_id)
    statement = await read(client, instructor, "/v1/instructors/me/statements/2026")
    (usd,) = statement["data"]
    assert usd["total"] == earnings(2, 15_000, 0, 0, 3_000, 12_000, 0)
    (filing,) = (await read(client, world.operator, "/v1/operator/reports/tax/2026"))["data"]
    assert filing["data"][0]["total"] == earnings(2, 15_000, 0, 0, 3_000, 12_000, 0)


async def test_an_instructor_whose_charges_were_all_returned_has_nothing_to_report(
    client: httpx.AsyncClient, world: World
) -> None:
    """Refunded, or lost in a dispute before it was transferred."""
    other = await add_instructor(world.engine)
    parties = [postings.Parties(booking_id=uuid4(), instructor_id=other.id) for _ in range(2)]
    transactions = (
        *postings.returned(parties[0], money(10_000)),
        postings.dispute_opened(parties[1], "dp_1", money(10_000)),
        postings.dispute_lost_while_held(parties[1], "dp_1", money(10_000)),
    )
    async with AsyncSession(world.engine) as session, session.begin():
        await ledger.post(session, LATER, *transactions)
    assert (await read(client, world.operator, "/v1/operator/reports/tax/2026"))["data"] == []
    (april,) = (await read(client, world.operator, "/v1/operator/reports/2026-04"))["data"]
    assert april["earnings"] == earnings(0, 0, 0, 0, 0, 0, 0)
