"""The instructor's day: what waits for them, and what they do about it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from models.domain.policy import PaymentPlan
from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
from models.tables.bookings import LiveSession
from models.tables.payments import Payment
from tests.api.pages.browser import Browser, text_of
from tests.api.sql_statements import noted
from tests.api.world import PRICE, World


async def _paid(world: World, starts_in: timedelta, **fields: Any) -> UUID:
    booking_id = await world.booking(await world.slot(starts_in), **fields)
    now = datetime.now(UTC)
    await world.add(
        Payment(
            booking_id=booking_id,
            plan=PaymentPlan.HOLD,
            status=PaymentStatus.PENDING,
            amount_minor=PRICE.amount_minor,
            platform_fee_minor=2_000,
            currency=PRICE.currency,
            payment_intent_id=f"pi_{booking_id}",
            created_at=now,
            updated_at=now,
        )
    )
    return booking_id


async def _accepted(world: World, starts_in: timedelta) -> UUID:
    booking_id = await _paid(world, starts_in, status=BookingStatus.ACCEPTED)
    now = datetime.now(UTC)
    await world.add(
        LiveSession(
            booking_id=booking_id,
            status=SessionStatus.SCHEDULED,
            room=f"room-{booking_id}",
            total_price_minor=10_000,
            platform_fee_minor=2_000,
            instructor_payout_minor=8_000,
            currency=PRICE.currency,
            created_at=now,
            updated_at=now,
        )
    )
    return booking_id


async def test_today_has_what_can_be_answered_and_completed(browser: Browser, world: World) -> None:
    asked, over = await _paid(world, timedelta(days=2)), await _accepted(world, -timedelta(hours=2))
    soon, later = await _accepted(world, timedelta(days=3)), await _accepted(world, timedelta(days=9))
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
    path = f"/bookings/{await _paid(world, timedelta(days=2))}"
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
        await _paid(world, timedelta(days=day))
        await _accepted(world, timedelta(days=day + 1))
        browser.become(world.instructor)
        with noted(engine) as statements:
            await browser.get("/today")
        counts.append(len(statements))
    assert counts[0] == counts[1]
