"""Browsing: what anyone can read of offerings, in their own zone, in a constant number of statements."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.money import Money
from models.tables.catalogue import Offering
from tests.api.pages.browser import Browser, text_of
from tests.api.sql_statements import noted
from tests.api.world import World


async def test_an_offering_shows_price_fee_terms_and_free_times(browser: Browser, world: World) -> None:
    await world.slot(timedelta(days=2))
    page = await browser.get(f"/offerings/{world.offering_id}")
    assert page.status_code == 200
    text = text_of(page)
    assert "You pay US$100.00" in text
    assert "The platform keeps US$20.00" in text
    assert "The instructor gets US$80.00" in text
    assert (
        "100% (US$100.00) until 24 hours before the start 50% (US$50.00) until 2 hours before the start nothing" in text
    )
    assert "put on hold on your card when you book" in text
    starts_at = datetime.now(UTC) + timedelta(days=2)
    assert f"{starts_at:%H:%M}–{starts_at + timedelta(hours=1):%H:%M}" in text


async def test_times_are_in_the_zone_that_the_browser_chose_and_it_is_named(browser: Browser, world: World) -> None:
    at = datetime.now(UTC) + timedelta(days=2, hours=5, minutes=30)
    await world.slot(timedelta(days=2))
    path = f"/offerings/{world.offering_id}"
    page = await browser.get(path)
    assert "Times are in the time zone UTC." in text_of(page)
    answer = await browser.submit(page, "/preferences", language="de", time_zone="Asia/Kolkata")
    assert answer.headers["location"] == path
    page = await browser.follow(answer)
    assert f"{at:%H:%M}–" in text_of(page)
    assert "Asia/Kolkata" in text_of(page)
    assert '<html lang="de">' in page.text


async def test_a_search_finds_by_words_price_and_day_and_keeps_what_was_typed(browser: Browser, world: World) -> None:
    await world.slot(timedelta(days=2))
    day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    for query, is_found in [
        ({"q": "counter", "currency": "usd", "price_max": "100.00", "first_day": day, "last_day": day}, True),
        ({"q": "counter", "price_max": ""}, True),
        ({"q": "fugue"}, False),
        ({"currency": "usd", "price_max": "99.99"}, False),
        ({"last_day": datetime.now(UTC).date().isoformat()}, False),
    ]:
        page = await browser.get("/offerings", **query)
        assert page.status_code == 200
        assert ("Counterpoint" in text_of(page)) is is_found, query
        assert all(f'value="{typed}"' in page.text for typed in query.values() if typed)


@pytest.mark.parametrize(
    "query", [{"price_min": "ten", "currency": "usd"}, {"first_day": "tomorrow"}, {"price_min": "1"}]
)
async def test_a_search_that_is_not_valid_says_which_field(query: dict[str, str], browser: Browser) -> None:
    page = await browser.get("/offerings", **query)
    assert page.status_code == 422
    assert page.text.count('class="error"') == 1
    assert 'aria-invalid="true"' in page.text


async def test_pages_send_as_many_statements_for_many_offerings_as_for_one(
    browser: Browser, world: World, engine: AsyncEngine
) -> None:
    counts = []
    for _ in range(2):
        for price in (1_000, 2_000):
            other = await World.create(engine, None, Money(amount_minor=price, currency="usd"))
            await other.slot()
            await other.slot(timedelta(days=3))
        with noted(engine) as statements:
            await browser.get("/offerings")
            await browser.get(f"/offerings/{world.offering_id}")
            await browser.get(f"/instructors/{world.instructor.id}")
            await browser.get("/")
        counts.append(len(statements))
    assert counts[0] == counts[1]


async def test_only_the_next_three_free_times_are_listed(browser: Browser, world: World) -> None:
    slots = [await world.slot(timedelta(days=days)) for days in (1, 2, 3, 4)]
    await world.booking(slots[0])
    page = await browser.get("/offerings")
    assert page.text.count("<time ") == 3
    assert f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}" not in page.text


async def test_what_an_instructor_wrote_is_text(browser: Browser, world: World) -> None:
    async with AsyncSession(world.engine) as session, session.begin():
        (await session.get_one(Offering, world.offering_id)).title = "<script>alert(1)</script>"
    for path in ("/", "/offerings", f"/offerings/{world.offering_id}", f"/instructors/{world.instructor.id}"):
        assert "<script>alert" not in (await browser.get(path)).text
