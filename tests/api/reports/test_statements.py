"""Yearly statements, against figures added up by hand."""

import csv
from io import StringIO
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from models.tables.people import Instructor
from tests.api.reports.ledger_story import earnings, money, none, post_year
from tests.api.world import Person, World, problem
from tests.models.documents import pdf

YEAR = {
    3: earnings(1, 10_000, 0, 0, 2_000, 8_000, 0),
    4: earnings(0, 0, 5_000, 0, -1_000, -4_000, 11_200),
    5: earnings(1, 3_000, 3_000, 2_400, 0, 2_400, 0),
    6: earnings(0, 0, 0, 0, 0, 0, -3_200),
}


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    return await World.create(engine, time_zone="America/Los_Angeles")


@pytest.fixture(autouse=True)
async def other(world: World) -> Person:
    """Has one payment, in March."""
    return await post_year(world)


async def get(client: httpx.AsyncClient, person: Person, year: int = 2026, accept: str = "") -> httpx.Response:
    return await client.get(f"/v1/instructors/me/statements/{year}", headers=person.headers | {"Accept": accept})


async def read(client: httpx.AsyncClient, person: Person, year: int = 2026) -> dict[str, Any]:
    answer = await get(client, person, year)
    assert answer.status_code == 200, answer.text
    statement: dict[str, Any] = answer.json()
    return statement


async def test_a_statement_equals_the_figures_added_up_by_hand_in_the_instructors_zone(
    client: httpx.AsyncClient, world: World
) -> None:
    statement = await read(client, world.instructor)
    assert statement["time_zone"] == "America/Los_Angeles"
    euro, dollar = statement["data"]
    assert dollar == {
        "currency": "usd",
        "opening": money(3_200).model_dump(),
        "months": [{"month": month, "earnings": YEAR.get(month, none())} for month in range(1, 13)],
        "total": earnings(2, 13_000, 8_000, 2_400, 1_000, 6_400, 8_000),
        "closing": money(1_600).model_dump(),
    }
    assert euro["total"] == earnings(1, 6_000, 0, 0, 1_200, 4_800, 0, currency="eur")
    assert euro["closing"] == money(4_800, "eur").model_dump()


async def test_the_opening_balance_is_the_previous_closing_balance(client: httpx.AsyncClient, world: World) -> None:
    before, year, after = [(await read(client, world.instructor, year))["data"] for year in (2025, 2026, 2027)]
    assert [part["closing"] for part in before] == [year[1]["opening"]] == [money(3_200).model_dump()]
    assert [part["opening"] for part in after] == [part["closing"] for part in year]


async def test_net_is_gross_minus_refunds_and_fees_plus_what_the_platform_bore(
    client: httpx.AsyncClient, world: World
) -> None:
    for part in (await read(client, world.instructor))["data"]:
        for each in [part["total"], *(month["earnings"] for month in part["months"])]:
            amount = {name: value["amount_minor"] for name, value in each.items() if name != "transactions"}
            assert amount["net"] == (amount["gross"] - amount["refunds"] + amount["borne_by_platform"] - amount["fees"])


async def test_a_statement_has_only_the_callers_money(client: httpx.AsyncClient, other: Person) -> None:
    (only,) = (await read(client, other))["data"]
    assert only["total"] == earnings(1, 1_000, 0, 0, 200, 800, 0)


async def test_the_csv_has_a_row_per_month_and_currency(client: httpx.AsyncClient, world: World) -> None:
    answer = await get(client, world.instructor, accept="text/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="statement-2026.csv"'
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    header, *rows = csv.reader(StringIO(answer.text, newline=""))
    assert (
        ",".join(header)
        == "month,currency,transactions,gross,refunds,borne_by_platform,fees,fee_tax,net,exchanged,paid_out"
    )
    assert len(rows) == 24
    assert ["2026-04", "usd", "0", "0.00", "50.00", "0.00", "-10.00", "0.00", "-40.00", "0.00", "112.00"] in rows


async def test_the_pdf_has_the_same_figures_and_the_instructors_name(client: httpx.AsyncClient, world: World) -> None:
    async with AsyncSession(world.engine) as session, session.begin():
        (await session.get_one(Instructor, world.instructor.id)).name = "ნადია Boulanger"
    # The statement of a past year does not change.
    answers = [await get(client, world.instructor, 2025, accept="application/pdf") for _ in range(2)]
    assert answers[0].headers["content-type"] == "application/pdf"
    assert answers[0].headers["content-disposition"] == 'attachment; filename="statement-2025.pdf"'
    assert answers[0].content == answers[1].content
    text = pdf.text((await get(client, world.instructor, 2026, accept="application/pdf")).content)
    for line in (
        *("For ნადია Boulanger", "Year 2026", "Months are in America/Los_Angeles.", "Earned in EUR"),
        *("April 0.00 50.00 0.00 -10.00 -40.00 112.00", "Year 130.00 80.00 24.00 10.00 64.00 80.00"),
        "Owed to you at the start: US$32.00. Paid out: US$80.00. Owed to you at the end: US$16.00.",
    ):
        assert line in " ".join(text.split())


async def test_the_pdf_is_in_the_instructors_language(client: httpx.AsyncClient, world: World) -> None:
    async with AsyncSession(world.engine) as session, session.begin():
        (await session.get_one(Instructor, world.instructor.id)).language = "de"
    text = " ".join(pdf.text((await get(client, world.instructor, 2025, accept="application/pdf")).content).split())
    for line in (
        *("Abrechnung 2025", "Jahr 2025", "Stand Do., 1. Jan. 2026, 00:00", "Monate in America/Los_Angeles."),
        *("Dezember 40,00 0,00 0,00 8,00 32,00 0,00", "Ihr Guthaben am Ende: 32,00 $."),
    ):
        assert line in text


async def test_a_statement_is_the_same_file_until_its_figures_change(
    client: httpx.AsyncClient, world: World, other: Person
) -> None:
    files = [(await get(client, world.instructor, 2026, accept="application/pdf")).content for _ in range(2)]
    assert files[0] == files[1]
    theirs = (await get(client, other, 2026, accept="application/pdf")).content
    assert theirs != files[0]
    await post_year(world)
    assert (await get(client, world.instructor, 2026, accept="application/pdf")).content != files[0]


async def test_a_year_without_money_is_an_empty_statement(client: httpx.AsyncClient, world: World) -> None:
    assert (await read(client, world.instructor, 2024))["data"] == []
    document = (await get(client, world.instructor, 2024, accept="application/pdf")).content
    assert "There are no payments, refunds or payouts in this year." in pdf.text(document)


@pytest.mark.parametrize("year", ["1999", "2101", "next"])
async def test_an_invalid_year_is_not_found(client: httpx.AsyncClient, world: World, year: str) -> None:
    answer = await client.get(f"/v1/instructors/me/statements/{year}", headers=world.instructor.headers)
    assert problem(answer) == (404, "not-found")
