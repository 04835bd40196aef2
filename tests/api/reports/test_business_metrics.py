"""The business metrics, against figures added up by hand."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking.records import RecordActivities
from activities.database import ledger
from api.http.database import Database
from api.reports.gauges import BusinessGauges
from models.domain import postings
from models.domain.actors import AbsentParty, Actor, Role
from models.domain.endings import EndReason, completed, no_show, rejected, unpaid
from models.domain.money import Money
from models.domain.payments import HoldPhase
from models.domain.policy import BookingPolicy, CancellationPolicy, CancellationTier
from models.domain.states import PayoutStatus
from models.domain.terms import BookingTerms
from models.tables.payments import InstructorPayout
from tests.activities.bookings import NOW, STARTS_AT, Bookings, authorization, checkout, ended, held, reserve
from tests.api.scraping import scrape
from tests.api.world import Person, World

DASHBOARD = Path(__file__).parents[3] / "docs" / "operations" / "grafana.json"
STUDENT = Actor(role=Role.STUDENT)
PERIOD = {"since": f"{NOW - timedelta(days=1):%Y-%m-%d}", "until": f"{NOW + timedelta(days=9):%Y-%m-%d}"}


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


@pytest.fixture
async def market(world: World) -> Bookings:
    """Five bookings of 100.00 usd, all made on 2 March 2026: completed, student absent, rejected, never paid, and still
    accepted. The completed one is disputed and paid out, and half of it is refunded in April."""
    market = Bookings(world.engine, RecordActivities(world.engine))
    instructor = market.instructor
    done, absent, refused, never_paid, open_ = [await _reserved(market, day) for day in range(5)]
    for terms in (done, absent, open_, refused):
        await market.records.record_authorization(authorization(terms))
    for terms in (done, absent, open_):
        await market.records.record_acceptance(market.acceptance(terms))
    await market.records.record_ending(ended(done, completed(done, instructor), _captured(done, 10_000, 320)))
    lenient = CancellationPolicy(name="lenient", tiers=(CancellationTier(before=timedelta(0), refund_bps=5_000),))
    half_kept = absent.model_copy(update={"policy": BookingPolicy(cancellation=lenient)})
    half = no_show(half_kept, AbsentParty.STUDENT, instructor)
    await market.records.record_ending(ended(absent, half, _captured(absent, 5_000, 175)))
    released = held(refused, HoldPhase.GONE)
    await market.records.record_ending(ended(refused, rejected(refused, instructor), released))
    await market.records.record_ending(ended(never_paid, unpaid(never_paid, EndReason.CHECKOUT_EXPIRED), None))
    parties = postings.parties_of(done)
    shares = postings.Shares(instructor=usd(4_000), platform_fee=usd(1_000), platform_loss=usd(0))
    captured_at = NOW + timedelta(hours=2)
    async with AsyncSession(world.engine) as session, session.begin():
        await ledger.post(session, captured_at, postings.dispute_opened(parties, "dp_1", usd(10_000)))
        payout = (
            await session.exec(select(InstructorPayout).where(col(InstructorPayout.booking_id) == done.booking_id))
        ).one()
        payout.status, payout.paid_at = PayoutStatus.PAID, captured_at + timedelta(days=2)
        await ledger.post(session, NOW + timedelta(days=30), *postings.refund(parties, "re_1", shares))
    return market


async def _reserved(market: Bookings, day: int) -> BookingTerms:
    terms = await market.terms(STARTS_AT + timedelta(days=day))
    assert await market.records.reserve_slot(reserve(terms))
    await market.records.record_checkout(checkout(terms))
    return terms


def _captured(terms: BookingTerms, captured_minor: int, stripe_fee_minor: int) -> Any:
    fee = usd(stripe_fee_minor)
    return held(terms, HoldPhase.CAPTURED).model_copy(update={"captured_minor": captured_minor, "stripe_fee": fee})


async def read(client: httpx.AsyncClient, operator: Person, **query: str) -> list[dict[str, Any]]:
    answer = await client.get("/v1/metrics/business", params=query, headers=operator.headers)
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


@pytest.mark.usefixtures("market")
async def test_the_metrics_equal_the_figures_added_up_by_hand(client: httpx.AsyncClient, world: World) -> None:
    assert await read(client, world.operator, **PERIOD) == [
        {
            "period_starts_on": "2026-03-01",
            "currency": "usd",
            "bookings": 5,
            "bookings_paid": 2,
            "conversion_bps": 4_000,
            "sessions_ended": 2,
            "sessions_completed": 1,
            "completion_bps": 5_000,
            "payments": 2,
            "gross_volume": {"amount_minor": 15_000, "currency": "usd"},
            "refunded": {"amount_minor": 0, "currency": "usd"},
            "refund_bps": 0,
            "disputes": 1,
            "dispute_bps": 5_000,
            "platform_revenue": {"amount_minor": 3_000, "currency": "usd"},
            "stripe_fees": {"amount_minor": 495, "currency": "usd"},
            "payout_lag_seconds": 2 * 86_400,
        }
    ]


@pytest.mark.usefixtures("market")
async def test_amounts_count_in_the_period_in_which_money_moves(client: httpx.AsyncClient, world: World) -> None:
    [april] = await read(client, world.operator, since="2026-04-01", until="2026-05-01")
    assert (april["bookings"], april["conversion_bps"]) == (0, None)
    assert april["refunded"]["amount_minor"] == 5_000
    assert april["platform_revenue"]["amount_minor"] == -1_000


@pytest.mark.usefixtures("market")
async def test_an_interval_of_days(client: httpx.AsyncClient, world: World) -> None:
    days = await read(client, world.operator, **PERIOD, interval="day")
    assert [(day["period_starts_on"], day["bookings"], day["payments"]) for day in days] == [
        ("2026-03-02", 5, 2),
        ("2026-03-04", 0, 0),
    ]


async def test_metrics_are_filtered_by_instructor_and_currency(
    client: httpx.AsyncClient, world: World, market: Bookings
) -> None:
    [theirs] = await read(client, world.operator, **PERIOD, instructor_id=str(market.instructor_id))
    assert theirs["bookings"] == 5
    assert await read(client, world.operator, **PERIOD, instructor_id=str(world.instructor.id)) == []
    assert await read(client, world.operator, **PERIOD, currency="eur") == []


async def test_a_period_that_ends_before_it_begins_is_refused(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.get(
        "/v1/metrics/business", params={"since": "2026-03-02", "until": "2026-03-02"}, headers=world.operator.headers
    )
    assert answer.status_code == 422


@pytest.mark.usefixtures("market")
async def test_the_current_month_is_exposed_as_prometheus_gauges(world: World) -> None:
    registry = CollectorRegistry()
    gauges = BusinessGauges(registry)
    await gauges.refresh(Database(world.engine), datetime(2026, 3, 20, tzinfo=UTC))
    text = generate_latest(registry).decode()
    assert 'holdfast_month_gross_volume_minor{currency="usd"} 15000.0' in text
    assert 'holdfast_month_conversion_bps{currency="usd"} 4000.0' in text


async def test_the_dashboard_uses_only_existing_metrics(app: FastAPI, client: httpx.AsyncClient) -> None:
    await client.get("/healthz")
    served = await scrape(app)
    used = set(re.findall(r"holdfast_\w+", DASHBOARD.read_text(encoding="utf-8")))
    assert used
    assert [name for name in sorted(used) if f"# TYPE {name.removesuffix('_bucket')} " not in served] == []
