"""How an instructor is paid: what is missing, and each share down to its booking."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import ledger
from models.domain import postings
from models.domain.actors import Capability
from models.domain.ledger import Posting
from models.domain.postings import Parties, Shares
from models.domain.states import BookingStatus, PayoutStatus
from models.tables.payments import InstructorPayout
from models.tables.people import Instructor
from tests.api.pages.browser import Browser, text_of
from tests.api.pages.paid_bookings import paid
from tests.api.reports.ledger_story import capture, money, post_year
from tests.api.sql_statements import noted, plan
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


async def test_what_stripe_still_needs_is_in_words(browser: Browser, world: World) -> None:
    due = ["external_account", "individual.dob.day", "individual.dob.month", "individual.last_name", "new.code"]
    async with AsyncSession(world.engine) as session, session.begin():
        instructor = await session.get_one(Instructor, world.instructor.id)
        instructor.requirements, instructor.transfers = due, Capability.INACTIVE
    browser.become(world.instructor)
    for path in ("/earnings", "/onboarding"):
        text = text_of(await browser.get(path))
        assert "your bank account your date of birth your name new.code" in text
    assert "Ihr Geburtsdatum" in text_of(await browser.get("/onboarding", language="de"))


async def test_a_statement_is_a_page_and_a_pdf(browser: Browser, world: World) -> None:
    await post_year(world)
    browser.become(world.instructor)
    text = text_of(await browser.get("/earnings/2026"))
    assert "Not paid out at the beginning US$32.00 Not paid out at the end US$16.00" in text
    assert "May US$30.00 US$30.00 US$24.00 US$0.00 US$24.00 US$0.00" in text
    assert "Year US$130.00 US$80.00 US$24.00 US$10.00 US$64.00 US$80.00" in text
    drawn = await browser.get("/earnings/2026.pdf")
    assert drawn.headers["content-type"] == "application/pdf"


async def _share(world: World, day: int, status: PayoutStatus, payout_id: str | None = None) -> UUID:
    """Captured and transferred, and maybe paid out."""
    booking_id = await world.booking(await world.slot(timedelta(days=day)), status=BookingStatus.COMPLETED)
    now = datetime.now(UTC)
    parties = Parties(booking_id=booking_id, instructor_id=world.instructor.id)
    share = InstructorPayout(
        booking_id=booking_id, instructor_id=world.instructor.id, status=status, amount_minor=8_000,
        platform_fee_minor=2_000, currency="usd", stripe_payout_id=payout_id, created_at=now, updated_at=now,
    )  # fmt: skip
    await world.add(share)
    sent = [postings.paid_out(world.instructor.id, booking_id, payout_id, money(8_000))] if payout_id else []
    await _post(world, *capture(parties, money(10_000)), *sent)
    return booking_id


async def _post(world: World, *posted: Posting) -> None:
    async with AsyncSession(world.engine) as session, session.begin():
        await ledger.post(session, datetime.now(UTC), *posted)


async def test_the_balance_says_what_is_held_there_under_way_and_owed(browser: Browser, world: World) -> None:
    browser.become(world.instructor)
    await paid(world, timedelta(days=2))
    await paid(world, timedelta(days=3), status=BookingStatus.ACCEPTED)
    await _share(world, 4, PayoutStatus.PROCESSING)
    sent = await _share(world, 5, PayoutStatus.PROCESSING, "po_1")
    await _share(world, 6, PayoutStatus.PAID, "po_2")
    text = text_of(await browser.get("/earnings"))
    expected = "US$160.00 In your balance at Stripe US$80.00 On its way to your bank US$80.00"
    assert f"Held for sessions that have not ended {expected}" in text
    assert "Owed back" not in text
    parties = Parties(booking_id=sent, instructor_id=world.instructor.id)
    lost = Shares(instructor=money(8_500), platform_fee=money(0), platform_loss=money(0))
    await _post(world, *postings.refund(parties, "re_1", lost))
    text = text_of(await browser.get("/earnings"))
    assert "In your balance at Stripe US$0.00 On its way to your bank US$80.00 Owed back US$5.00" in text


async def test_a_payout_is_the_sum_of_its_bookings(browser: Browser, world: World, engine: AsyncEngine) -> None:
    browser.become(world.instructor)
    first = await _share(world, 2, PayoutStatus.PAID, "po_1")
    counts = []
    for day in (3, 4):
        second = await _share(world, day, PayoutStatus.PROCESSING, "po_2")
        with noted(engine) as statements:
            page = await browser.get("/earnings")
            await browser.get("/earnings/payouts")
            await browser.get("/earnings/payouts/po_2")
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert 'href="/earnings/payouts/po_2"' in page.text
    clawback = postings.paid_out(world.instructor.id, first, "po_2", money(-4_000))
    await _post(world, clawback, postings.paid_out(world.instructor.id, None, "po_2", money(-100)))
    page = await browser.get("/earnings/payouts/po_2")
    for id in (first, second):
        assert f'href="/bookings/{id}"' in page.text
    text = text_of(page)
    assert "-US$40.00" in text
    assert "Of no booking -US$1.00" in text
    assert "Sum US$119.00" in text
    assert "On its way" in text
    listed = text_of(await browser.get("/earnings/payouts"))
    assert listed.index("US$119.00") < listed.index("US$80.00")
    assert "Paid" in listed


async def test_payouts_are_paged_and_a_returned_one_says_so(browser: Browser, world: World) -> None:
    browser.become(world.instructor)
    assert "Stripe has not sent anything to your bank yet." in text_of(await browser.get("/earnings/payouts"))
    booking_id = await _share(world, 2, PayoutStatus.FAILED, "po_1")
    await _post(world, postings.payout_failed(world.instructor.id, booking_id, "po_1", money(8_000)))
    await _share(world, 3, PayoutStatus.PAID, "po_2")
    page = await browser.get("/earnings/payouts", limit="1")
    assert "po_2" in page.text
    assert "po_1" not in page.text
    cursor = unescape(page.text).partition("/earnings/payouts?cursor=")[2].partition('"')[0]
    page = await browser.get("/earnings/payouts", cursor=cursor)
    assert "po_2" not in page.text
    assert "Sent back by the bank" in text_of(page)


async def test_each_payout_is_on_one_page_by_its_first_transaction(browser: Browser, world: World) -> None:
    """Two were sent at the same time, and something was added to the first one later."""
    browser.become(world.instructor)
    first = await _share(world, 2, PayoutStatus.PAID, "po_1")
    instructor = world.instructor.id
    sent = [
        postings.paid_out(instructor, await _share(world, day, PayoutStatus.PAID), f"po_{day}", money(8_000))
        for day in (3, 4)
    ]
    await _post(world, *sent)
    await _post(world, postings.paid_out(instructor, first, "po_5", money(1_000)))
    await _post(world, postings.paid_out(instructor, None, "po_1", money(-100)))
    path, pages = "/earnings/payouts?limit=1", list[list[str]]()
    while path:
        text = unescape((await browser.get(path)).text)
        pages.append(re.findall(r'href="/earnings/payouts/(\w+)"', text))
        cursor = text.partition("/earnings/payouts?cursor=")[2].partition('"')[0]
        path = f"/earnings/payouts?limit=1&cursor={cursor}" if cursor else ""
    listed = [id for page in pages for id in page]
    assert [len(page) for page in pages] == [1, 1, 1, 1]
    assert (listed[0], sorted(listed[1:3]), listed[3]) == ("po_5", ["po_3", "po_4"], "po_1")


async def test_nobody_sees_another_instructors_payout(browser: Browser, world: World, engine: AsyncEngine) -> None:
    await _share(world, 2, PayoutStatus.PAID, "po_1")
    browser.become(await add_instructor(engine))
    assert (await browser.get("/earnings/payouts/po_1")).status_code == 404


async def test_payouts_are_read_from_their_index(browser: Browser, world: World, engine: AsyncEngine) -> None:
    browser.become(world.instructor)
    with noted(engine) as statements:
        await browser.get("/earnings/payouts")
    statement, parameters = next(each for each in statements if "payout_failed" in each[0])
    assert "ix_ledger_transaction_payout" in await plan(engine, statement, parameters)
