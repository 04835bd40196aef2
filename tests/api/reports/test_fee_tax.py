"""The tax in the platform's fee on statements and in the accounting reports: a fee of 20.00 at 19 %, half returned."""

import csv
from io import StringIO

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import ledger
from models.domain import postings
from models.domain.policy import BookingPolicy, split
from models.domain.postings import Parties, Shares
from tests.api.reports.ledger_story import earnings, money, time
from tests.api.world import World
from tests.models.documents import pdf

MARCH = earnings(1, 10_000, 5_000, 0, 1_000, 4_000, 0, fee_tax=160)


@pytest.fixture(autouse=True)
async def taxed_booking(world: World) -> None:
    policy = BookingPolicy(fee_tax_bps=1_900)
    parties = Parties(
        booking_id=await world.booking(policy=policy.model_dump(mode="json")), instructor_id=world.instructor.id
    )
    half = Shares(instructor=money(4_000), platform_fee=money(1_000), platform_loss=money(0))
    async with AsyncSession(world.engine) as session, session.begin():
        await ledger.post(
            session, time(2026, 3, 2), *postings.capture(parties, split(money(10_000), policy), money(320))
        )
        await ledger.post(session, time(2026, 3, 9), *postings.refund(parties, "re_1", half))


async def test_a_statement_says_how_much_tax_the_fees_include(client: httpx.AsyncClient, world: World) -> None:
    path, headers = "/v1/instructors/me/statements/2026", world.instructor.headers
    (dollar,) = (await client.get(path, headers=headers)).json()["data"]
    assert dollar["total"] == MARCH
    rows = (await client.get(path, headers=headers | {"Accept": "text/csv"})).text
    march = list(csv.DictReader(StringIO(rows, newline="")))[2]
    assert (march["fees"], march["fee_tax"], march["net"]) == ("10.00", "1.60", "40.00")
    document = (await client.get(path, headers=headers | {"Accept": "application/pdf"})).content
    assert "The fees of the year include US$1.60 of tax." in pdf.text(document)


async def test_the_monthly_report_has_the_tax_as_an_account_of_its_own(client: httpx.AsyncClient, world: World) -> None:
    report = await client.get("/v1/operator/reports/2026-03", headers=world.operator.headers)
    (dollar,) = report.json()["data"]
    closing = {row["account"]: row["closing"]["amount_minor"] for row in dollar["accounts"]}
    assert (closing["platform_revenue"], closing["tax_payable"]) == (-840, -160)
    assert sum(closing.values()) == 0
    assert dollar["earnings"] == MARCH
    # The fee without tax, less Stripe's fee.
    assert dollar["result"] == money(840 - 320).model_dump()
    table = await client.get("/v1/operator/reports/2026-03", headers=world.operator.headers | {"Accept": "text/csv"})
    assert ["2026-03", "usd", "tax_payable", "0.00", "1.59", "3.19", "-1.60"] in list(csv.reader(StringIO(table.text)))


async def test_the_platforms_revenue_is_without_tax(client: httpx.AsyncClient, world: World) -> None:
    query = {"since": "2026-03-01", "until": "2026-04-01", "interval": "month"}
    metrics = await client.get("/v1/metrics/business", params=query, headers=world.operator.headers)
    (march,) = (row for row in metrics.json()["data"] if row["payments"])
    assert march["platform_revenue"] == money(840).model_dump()
