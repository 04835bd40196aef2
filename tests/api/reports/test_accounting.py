"""The accounting reports, against figures added up by hand and against the ledger."""

import csv
from io import StringIO
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import ledger
from models.domain import postings
from models.tables.people import Instructor
from tests.api.reports.ledger_story import capture, earnings, money, none, post_year, time
from tests.api.world import Person, World, problem


@pytest.fixture
async def other(engine: AsyncEngine, world: World) -> Person:
    """Has one payment, in March."""
    return await post_year(world)


async def get(client: httpx.AsyncClient, world: World, path: str, accept: str = "") -> httpx.Response:
    return await client.get(f"/v1/operator/reports/{path}", headers=world.operator.headers | {"Accept": accept})


async def read(client: httpx.AsyncClient, world: World, path: str) -> dict[str, Any]:
    answer = await get(client, world, path)
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


async def test_the_tax_report_equals_the_figures_added_up_by_hand(
    client: httpx.AsyncClient, world: World, other: Person
) -> None:
    filings = {each["instructor"]["id"]: each for each in (await read(client, world, "tax/2026"))["data"]}
    assert set(filings) == {str(world.instructor.id), str(other.id)}
    filing = filings[str(world.instructor.id)]
    assert filing["instructor"] == {
        "id": str(world.instructor.id),
        "name": "Nadia",
        "stripe_account_id": "acct_test",
    }
    euro, dollar = filing["data"]
    assert (euro["currency"], euro["total"]["gross"]["amount_minor"]) == ("eur", 6_000)
    # All of it in the second quarter, in UTC.
    assert dollar["total"] == earnings(2, 13_000, 8_000, 2_400, 1_000, 6_400, 0)
    assert [quarter["earnings"] for quarter in dollar["quarters"]] == [none(), dollar["total"], none(), none()]
    by_month = dollar["quarters"][1]["gross_by_month"]
    assert [month["amount_minor"] for month in by_month] == [10_000, 3_000, 0]
    (only,) = filings[str(other.id)]["data"]
    assert only["quarters"][0]["earnings"] == earnings(1, 1_000, 0, 0, 200, 800, 0)


@pytest.mark.usefixtures("other")
async def test_quarters_begin_in_the_requested_time_zone(client: httpx.AsyncClient, world: World) -> None:
    report = await read(client, world, "tax/2026?time_zone=America/Los_Angeles")
    (filing,) = (each for each in report["data"] if each["instructor"]["id"] == str(world.instructor.id))
    first, second, *_ = filing["data"][1]["quarters"]
    assert [each["earnings"]["gross"]["amount_minor"] for each in (first, second)] == [10_000, 3_000]
    assert problem(await get(client, world, "tax/2026?time_zone=Mars/Olympus")) == (422, "request-invalid")


async def test_an_instructor_without_payments_in_the_year_is_left_out(
    client: httpx.AsyncClient, world: World, other: Person
) -> None:
    report = await read(client, world, "tax/2025")
    assert [each["instructor"]["id"] for each in report["data"]] == [str(world.instructor.id)]
    assert str(other.id) not in str(report)


@pytest.mark.usefixtures("other")
async def test_the_tax_csv_has_a_row_per_quarter_and_escapes_formulas(client: httpx.AsyncClient, world: World) -> None:
    async with AsyncSession(world.engine) as session, session.begin():
        (await session.get_one(Instructor, world.instructor.id)).name = '=HYPERLINK("https://evil.test")'
    answer = await get(client, world, "tax/2026", accept="text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="tax-2026.csv"'
    rows = list(csv.DictReader(StringIO(answer.text, newline="")))
    assert len(rows) == 12
    usd_rows = [row for row in rows if row["instructor_id"] == str(world.instructor.id) and row["currency"] == "usd"]
    (row,) = (row for row in usd_rows if row["quarter"] == "2026-Q2")
    assert row == {
        "instructor_id": str(world.instructor.id),
        "name": '\'=HYPERLINK("https://evil.test")',
        "stripe_account_id": "acct_test",
        "is_form_1099k_due": "False",
        "is_dac7_due": "True",
        "currency": "usd",
        "quarter": "2026-Q2",
        "transactions": "2",
        "gross": "130.00",
        "refunds": "80.00",
        "borne_by_platform": "24.00",
        "fees": "10.00",
        "fee_tax": "0.00",
        "net": "64.00",
        "gross_month_1": "100.00",
        "gross_month_2": "30.00",
        "gross_month_3": "0.00",
    }


# Added up by hand from tests/api/reports/ledger_story.py: opening, debits, credits, closing of each account in USD.
APRIL = {
    "stripe_balance": (654 + 200, 10_000 + 4_000, 320 + 8_000 + 5_000, 854 + 680),
    "connected_balance": (3_200 + 800, 8_000, 8_000 + 3_200 + 4_000, -3_200),
    "instructor_payable": (-3_200 - 800, 8_000 + 3_200 + 4_000, 8_000, 3_200),
    "platform_revenue": (-800 - 200, 1_000, 2_000, -2_000),
    "stripe_fees": (146, 320, 0, 466),
    "refunds": (0, 5_000, 5_000, 0),
}


@pytest.mark.usefixtures("other")
async def test_a_month_equals_the_figures_added_up_by_hand(client: httpx.AsyncClient, world: World) -> None:
    (dollar,) = (await read(client, world, "2026-04"))["data"]
    seen = {
        row["account"]: tuple(row[name]["amount_minor"] for name in ("opening", "debits", "credits", "closing"))
        for row in dollar["accounts"]
    }
    assert seen == APRIL
    assert dollar["earnings"] == earnings(1, 10_000, 5_000, 0, 1_000, 4_000, 11_200)
    assert dollar["stripe_fees"] == money(320).model_dump()
    assert dollar["result"] == money(680).model_dump()
    assert {row["kind"]: (row["transactions"], row["turnover"]["amount_minor"]) for row in dollar["kinds"]} == {
        "captured": (1, 10_000),
        "stripe_fee": (1, 320),
        "transferred": (1, 8_000),
        "paid_out": (2, 11_200),
        "refunded": (1, 5_000),
        "transfer_reversed": (1, 4_000),
        "refund_sent": (1, 5_000),
    }


@pytest.mark.usefixtures("other")
async def test_every_month_ties_to_the_previous_one_and_to_the_ledger(client: httpx.AsyncClient, world: World) -> None:
    before: dict[tuple[str, str], int] = {}
    months = ["2025-12", *(f"2026-{month:02d}" for month in range(1, 13)), "2027-01"]
    for month in months:
        closings = {}
        for part in (await read(client, world, month))["data"]:
            for row in part["accounts"]:
                opening, debits, credits, closing = (
                    row[name]["amount_minor"] for name in ("opening", "debits", "credits", "closing")
                )
                place = part["currency"], row["account"]
                assert opening == before.get(place, 0), (month, place)
                assert closing == opening + debits - credits
                closings[place] = closing
            assert sum(row["closing"]["amount_minor"] for row in part["accounts"]) == 0
        before = closings
    async with world.engine.connect() as connection:
        balances = await connection.execute(
            text("SELECT currency, account, sum(amount_minor) FROM ledger_entry GROUP BY currency, account")
        )
        assert before == {(currency, account): int(balance) for currency, account, balance in balances}


@pytest.mark.usefixtures("other")
async def test_the_monthly_csv_has_a_row_per_account(client: httpx.AsyncClient, world: World) -> None:
    answer = await get(client, world, "2026-04", accept="text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="books-2026-04.csv"'
    header, *rows = csv.reader(StringIO(answer.text, newline=""))
    assert header == ["month", "currency", "account", "opening", "debits", "credits", "closing"]
    assert ["2026-04", "usd", "refunds", "0.00", "50.00", "50.00", "0.00"] in rows
    assert len(rows) == len(APRIL)


@pytest.mark.parametrize("month", ["2026-13", "2026", "2026-3", "1999-12", "tax"])
async def test_an_invalid_month_is_not_found(client: httpx.AsyncClient, world: World, month: str) -> None:
    assert problem(await get(client, world, month)) == (404, "not-found")


async def test_a_lost_dispute_after_a_failed_refund_counts_as_one_refund(
    client: httpx.AsyncClient, world: World
) -> None:
    """Refunded in full, the refund failed, then disputed and lost."""
    parties = postings.Parties(booking_id=uuid4(), instructor_id=world.instructor.id)
    borne = postings.Shares(instructor=money(8_000), platform_fee=money(2_000), platform_loss=money(0))
    nothing = postings.Shares(instructor=money(0), platform_fee=money(0), platform_loss=money(0))
    transactions = (
        *capture(parties, money(10_000)),
        *postings.refund(parties, "re_1", borne),
        postings.refund_sent(parties, "re_1", money(10_000)),
        postings.refund_failed(parties, "re_1", money(10_000)),
        postings.dispute_opened(parties, "dp_1", money(10_000)),
        *postings.dispute_lost(parties, "dp_1", nothing, money(10_000)),
    )
    async with AsyncSession(world.engine) as session, session.begin():
        await ledger.post(session, time(2026, 3, 1), *transactions)
    [usd] = (await read(client, world, "2026-03"))["data"]
    assert usd["earnings"] == earnings(1, 10_000, 10_000, 0, 0, 0, 0)
