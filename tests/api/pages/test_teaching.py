"""An instructor's offerings and times, by forms."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.api.pages.browser import Browser, text_of
from tests.api.sql_statements import noted
from tests.api.world import World

FUGUE = {
    "title": "Fugue",
    "amount": "39.50",
    "currency": "usd",
    "duration_minutes": "45",
    "min_notice_minutes": "0",
    "buffer_before_minutes": "0",
    "buffer_after_minutes": "0",
}


async def test_an_offering_is_created_gets_times_and_is_withdrawn(browser: Browser, world: World) -> None:
    browser.become(world.instructor)
    refused = await browser.fill("/teaching/new", **FUGUE | {"amount": "1.234"})
    assert refused.status_code == 422
    assert 'value="Fugue"' in refused.text
    made = await browser.fill("/teaching/new", **FUGUE)
    path = made.headers["location"]
    page = await browser.follow(made)
    assert "No times yet." in text_of(page)
    assert 'value="39.50"' in page.text
    first = datetime.now(UTC).date() + timedelta(days=3)
    added = await browser.submit(page, f"{path}/slots", day=first.isoformat(), time="10:00", weeks="3")
    page = await browser.follow(added)
    assert page.text.count('<span class="badge good">Free</span>') == 3
    second = (first + timedelta(days=7)).isoformat()
    withdrawn = await browser.submit(page, f"{path}/slots/withdraw", first_day=second, last_day=second)
    page = await browser.follow(withdrawn)
    assert page.text.count('<span class="badge good">Free</span>') == 2
    past = await browser.submit(page, f"{path}/slots", day="2020-01-01", time="10:00", weeks="1")
    assert past.status_code == 422
    assert 'value="2020-01-01"' in past.text
    changed = await browser.submit(page, path, **FUGUE | {"title": "Canon", "amount": "50"})
    page = await browser.follow(changed)
    assert "<h1>Canon</h1>" in page.text
    page = await browser.follow(await browser.submit(page, f"{path}/active"))
    assert "Nobody can book it." in text_of(page)


async def test_it_sends_as_many_statements_for_many_times_as_for_one(
    browser: Browser, world: World, engine: AsyncEngine
) -> None:
    counts = []
    for day in (1, 3):
        await world.slot(timedelta(days=day))
        await world.slot(timedelta(days=day + 1))
        browser.become(world.instructor)
        with noted(engine) as statements:
            await browser.get("/teaching")
            await browser.get(f"/teaching/{world.offering_id}")
        counts.append(len(statements))
    assert counts[0] == counts[1]


async def test_own_calendar_is_given_and_removed_and_its_address_never_shown(browser: Browser, world: World) -> None:
    browser.become(world.instructor)
    refused = await browser.fill("/teaching/calendar", url="file:///etc/passwd")
    assert refused.status_code == 422
    page = await browser.follow(await browser.fill("/teaching/calendar", url="webcal://calendar.example/secret.ics"))
    assert "The calendar at calendar.example has not been read yet." in text_of(page)
    async with world.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE instructor_calendar SET problem = 'gone', read_at = now()")
    page = await browser.get("/teaching/calendar")
    assert "calendar.example has no calendar at this address any more" in text_of(page)
    assert "Its times from then are still blocked." in text_of(page)
    assert "secret" not in page.text.lower().replace("secret address", "")
    assert "Cannot be read" in text_of(await browser.get("/teaching"))
    page = await browser.follow(await browser.submit(page, "/teaching/calendar/remove"))
    assert "has not been read yet" not in text_of(page)
