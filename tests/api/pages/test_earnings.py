"""How an instructor is paid: what is missing, and each share down to its booking."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from models.domain.states import PayoutStatus
from models.tables.payments import InstructorPayout
from tests.api.pages.browser import Browser, text_of
from tests.api.sql_statements import noted
from tests.api.world import World, add_instructor


async def test_each_share_leads_to_its_booking(browser: Browser, world: World, engine: AsyncEngine) -> None:
    counts, now = [], datetime.now(UTC)
    browser.become(world.instructor)
    assert "Your share of a booking appears here" in text_of(await browser.get("/earnings"))
    for day, status in ((2, PayoutStatus.PROCESSING), (4, PayoutStatus.PAID)):
        booking_id = await world.booking(await world.slot(timedelta(days=day)))
        share = InstructorPayout(
            booking_id=booking_id,
            instructor_id=world.instructor.id,
            status=status,
            amount_minor=8_000,
            platform_fee_minor=2_000,
            currency="usd",
            created_at=now,
            updated_at=now,
        )
        await world.add(share)
        with noted(engine) as statements:
            page = await browser.get("/earnings")
        counts.append(len(statements))
        assert f'href="/bookings/{booking_id}"' in page.text
    assert "In your balance" in text_of(page)
    assert "US$80.00" in text_of(page)
    assert counts[0] == counts[1]


async def test_onboarding_says_what_is_missing_and_why_the_link_does_not_open(
    browser: Browser, world: World, engine: AsyncEngine
) -> None:
    browser.become(await add_instructor(engine))
    page = await browser.get("/onboarding")
    assert "Payouts are not set up, so nobody can book you." in text_of(page)
    # Temporal is down.
    refused = await browser.submit(page, "/onboarding")
    assert refused.status_code == 503
    assert "Continue at Stripe" in text_of(refused)


async def test_a_statement_is_a_pdf(browser: Browser, world: World) -> None:
    browser.become(world.instructor)
    drawn = await browser.get(f"/earnings/{datetime.now(UTC).year}.pdf")
    assert drawn.headers["content-type"] == "application/pdf"
