"""The instructor's day: what waits for them, and what they do about it."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from models.domain.states import BookingStatus
from tests.api.pages.browser import Browser, text_of
from tests.api.pages.paid_bookings import paid
from tests.api.sql_statements import noted
from tests.api.world import World


async def test_today_has_what_can_be_answered_and_completed(browser: Browser, world: World) -> None:
    asked, over = (
        await paid(world, timedelta(days=2)),
        await paid(world, -timedelta(hours=2), status=BookingStatus.ACCEPTED),
    )
    soon, later = (
        await paid(world, timedelta(days=3), status=BookingStatus.ACCEPTED),
        await paid(world, timedelta(days=9), status=BookingStatus.ACCEPTED),
    )
    unpaid = await world.booking(await world.slot(timedelta(days=4)))
    browser.become(world.instructor)
    page = await browser.get("/today")
    assert "59 minutes left to answer" in text_of(page)
    assert f'action="/bookings/{asked}/approve"' in page.text
    assert f'action="/bookings/{over}/complete"' in page.text
    assert f'action="/bookings/{soon}/complete"' not in page.text
    assert f'action="/bookings/{unpaid}/approve"' not in page.text
    assert f"/bookings/{soon}" in page.text
    assert f"/bookings/{later}" not in page.text
    waiting = page.text.partition('id="waiting"')[2]
    assert f"/bookings/{unpaid}" in waiting
    assert f"/bookings/{asked}" not in waiting


async def test_declining_needs_a_reason_and_keeps_it(browser: Browser, world: World) -> None:
    path = f"/bookings/{await paid(world, timedelta(days=2))}"
    browser.become(world.student)
    assert f'action="{path}/reject"' not in (await browser.get(path)).text
    browser.become(world.instructor)
    page = await browser.get(path)
    assert "You get US$80.00 if the session takes place." in text_of(page)
    refused = await browser.submit(page, f"{path}/reject", reason="")
    assert refused.status_code == 422
    assert "Fill in this field." in text_of(refused)
    # Temporal is down: what was typed stays.
    refused = await browser.submit(page, f"{path}/reject", reason="I am away.")
    assert refused.status_code == 503
    assert "I am away.</textarea>" in refused.text


async def test_today_sends_as_many_statements_for_many_bookings_as_for_one(
    browser: Browser, world: World, engine: AsyncEngine
) -> None:
    counts = []
    for day in (1, 3):
        await paid(world, timedelta(days=day))
        await paid(world, timedelta(days=day + 1), status=BookingStatus.ACCEPTED)
        browser.become(world.instructor)
        with noted(engine) as statements:
            await browser.get("/today")
        counts.append(len(statements))
    assert counts[0] == counts[1]
