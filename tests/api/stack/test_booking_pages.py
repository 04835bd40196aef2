"""Bookings in Chromium with nothing but clicks: from sign-up to receipt and payout, an absence, another time, and far
ahead."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin

from playwright.async_api import Page, expect

from sandbox.demo.marketplace import Marketplace, Pair
from sandbox.demo.people import Person
from sandbox.demo.steps import IN_TWO_DAYS, IN_WEEKS, accepted, wait_until
from sandbox.stack.stack import Stack
from tests.accessibility import violations
from tests.api.stack.browsers import another, pay, sign_in, sign_up

_LASTS = timedelta(seconds=1)
"""A session: nobody waits for its end."""
_MOVED_IN = timedelta(seconds=6)
"""Long enough to propose and accept a time, on a busy machine."""


async def _offering_id(instructor: Person) -> str:
    offerings = await instructor.call("GET", f"/offerings?instructor_id={instructor.id}")
    return str(offerings["data"][0]["id"])


async def _pair(market: Marketplace) -> Pair:
    [(student, instructor)] = market.people
    return Pair(student, instructor, *await market.add_slot(instructor, IN_TWO_DAYS, _LASTS))


async def test_a_booking_from_sign_up_to_receipt_and_payout(
    stack: Stack, market: Marketplace, browser_page: Page
) -> None:
    # In one browser: the links of `./run up` lead to two hosts.
    student = await another(browser_page)
    instructor = await student.context.new_page()
    [(_, person)] = market.people
    await market.add_slot(person, IN_TWO_DAYS, _LASTS)
    await sign_up(student, stack)
    await student.goto(f"{stack.api_url}/offerings/{await _offering_id(person)}")
    await student.locator(".times a").first.click()
    await expect(student.get_by_text("The price is only put on hold now.")).to_be_visible()
    await student.get_by_role("button", name="Continue to payment").click()
    await pay(student)
    # The page that Checkout leads back to changes by itself.
    await expect(student.get_by_text("$100.00 is on hold on your card. You have not been charged.")).to_be_visible()

    await sign_in(instructor, stack, person)
    await instructor.get_by_role("button", name="Confirm").click()
    await expect(instructor.get_by_role("status")).to_contain_text("Confirmed.")
    await expect(student.get_by_text("The instructor confirmed the booking.")).to_be_visible()
    await expect(student.get_by_role("link", name="Add to your calendar")).to_be_visible()

    _, begins = await market.add_slot(person, _MOVED_IN, _LASTS)
    await instructor.get_by_role("link", name="Propose another time").click()
    await instructor.get_by_role("radio").first.check()
    await instructor.get_by_role("button", name="Propose this time").click()
    await student.get_by_role("button", name="Accept the new time").click()
    await expect(student.get_by_role("status")).to_have_text("The session is moved.")
    assert await violations(student) == []

    await wait_until(begins + _LASTS)
    await instructor.get_by_role("link", name="Today").click()
    await instructor.get_by_role("button", name="The session took place").click()
    await expect(instructor.get_by_role("status")).to_contain_text("Reported.")
    told = student.locator("#standing").get_by_text("The instructor reported that the session took place.")
    await expect(told).to_be_visible()
    assert await violations(student) == []
    await student.get_by_role("button", name="The session took place").click()
    await expect(student.get_by_role("status")).to_contain_text("Thank you.")
    await expect(student.get_by_text("You paid US$100.00.")).to_be_visible()
    async with student.expect_download() as download:
        await student.get_by_role("link", name="Receipt (PDF)").click()
    assert (await download.value).suggested_filename.endswith(".pdf")

    await expect(instructor.get_by_text("Your share is US$80.00.")).to_be_visible()
    await instructor.get_by_role("link", name="Getting paid").click()
    share = instructor.locator(".card")
    await expect(share).to_contain_text("In your balance")
    await market.advance_to_payout()
    await person.wait_for_payout(await _booking_id(student), "PAID")
    await instructor.reload()
    await expect(share).to_contain_text("It reached your bank.")


async def _booking_id(page: Page) -> str:
    found = re.search(r"/bookings/([0-9a-f-]{36})", page.url)
    assert found
    return found[1]


async def test_an_absence_is_reported_contested_and_decided(
    stack: Stack, market: Marketplace, browser_page: Page
) -> None:
    pair = await _pair(market)
    booking_id = await accepted(pair)
    student, instructor, operator = browser_page, await another(browser_page), await another(browser_page)
    for page, person in ((student, pair.student), (instructor, pair.instructor)):
        await sign_in(page, stack, person)
        await page.goto(urljoin(page.url, f"/bookings/{booking_id}"))
    await sign_in(operator, stack, market.operator())
    slot_id, _ = await market.add_slot(pair.instructor, timedelta(seconds=2), _LASTS)
    await pair.student.decide(booking_id, "reschedule", {"slot_id": str(slot_id)})
    await pair.instructor.decide(booking_id, "reschedule/accept", {"slot_id": str(slot_id)})

    # The page changes by itself when the session is over.
    await instructor.get_by_role("link", name="The other side did not come").click()
    await instructor.get_by_role("button", name="Report the absence").click()
    await expect(instructor.get_by_role("status")).to_contain_text("Reported.")
    await expect(student.get_by_text("You are reported absent.")).to_be_visible()
    await student.get_by_role("button", name="I was there").click()
    await expect(student.get_by_role("status")).to_have_text("The report is contested.")
    await expect(student.get_by_text("Our staff is looking into this booking.")).to_be_visible()
    assert await violations(student) == []

    await operator.get_by_role("link", name="Needs attention").click()
    await operator.locator(f"a.button[href^='/operator/bookings/{booking_id}']").click()
    await operator.get_by_role("button", name="Release").click()
    await expect(operator.get_by_role("status")).to_be_visible()
    await expect(student.get_by_text("You pay nothing: all of US$100.00 goes back to you.")).to_be_visible()
    await expect(instructor.get_by_text("The student got everything back.")).to_be_visible()


async def test_a_student_pays_again_for_a_session_that_is_moved_beyond_its_hold(
    stack: Stack, market: Marketplace, browser_page: Page
) -> None:
    pair = await _pair(market)
    booking_id = await accepted(pair)
    await market.add_slot(pair.instructor, IN_WEEKS, _LASTS)
    student, instructor = browser_page, await another(browser_page)
    for page, person in ((student, pair.student), (instructor, pair.instructor)):
        await sign_in(page, stack, person)
        await page.goto(urljoin(page.url, f"/bookings/{booking_id}"))
    await student.get_by_role("link", name="Propose another time").click()
    await student.get_by_role("radio").first.check()
    await student.get_by_role("button", name="Propose this time").click()
    await expect(student.get_by_text("You proposed:")).to_be_visible()
    await instructor.get_by_role("button", name="Accept the new time").click()
    await expect(instructor.get_by_role("status")).to_have_text("The session is moved.")
    again = student.get_by_role("link", name="Pay US$100.00 again")
    await expect(again).to_be_visible()
    assert await violations(student) == []
    await again.click()
    await pay(student)
    await expect(student.get_by_text("You have paid. The instructor gets their share")).to_be_visible()
    await expect(instructor.get_by_text("The student has to pay again")).to_have_count(0)


async def test_a_far_booking_is_charged_at_once_and_comes_back_when_it_is_cancelled(
    stack: Stack, market: Marketplace, browser_page: Page
) -> None:
    page = browser_page
    [(person, instructor)] = market.people
    for days in (21, 22):
        await market.add_slot(instructor, timedelta(days=days))
    day = (datetime.now(UTC) + timedelta(days=21)).date().isoformat()
    await sign_in(page, stack, person)
    await page.goto(f"{stack.api_url}/offerings/{await _offering_id(instructor)}?day={day}")
    await page.locator(".times a").first.click()
    await expect(page.get_by_text("You are charged now.")).to_be_visible()
    await page.get_by_role("button", name="Continue to payment").click()
    await pay(page)
    await expect(page.get_by_text("You have been charged US$100.00.")).to_be_visible()
    await page.get_by_role("link", name="Propose another time").click()
    await page.get_by_role("radio").first.check()
    await page.get_by_role("button", name="Propose this time").click()
    await expect(page.get_by_text("You proposed:")).to_be_visible()
    assert await violations(page) == []
    await page.get_by_role("button", name="Withdraw the proposal").click()
    await expect(page.get_by_text("You proposed:")).to_have_count(0)
    await page.get_by_role("link", name="Cancel the booking").click()
    await expect(page.locator(".facts")).to_contain_text("US$100.00")
    await page.get_by_role("button", name="Cancel the booking").click()
    await expect(page.get_by_text("You pay nothing: all of US$100.00 goes back to you.")).to_be_visible()
