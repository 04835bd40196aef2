"""Students book in Chromium with nothing but clicks: from sign-up to receipt, and far ahead, where they pay at once."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
from playwright.async_api import Page, expect

from sandbox.browser.onboarding_page import onboard
from sandbox.stack.stack import Stack
from tests.accessibility import violations

_STARTS_IN = timedelta(seconds=25)
"""At least: a slot begins at a whole minute."""


@dataclass
class _Instructor:
    """Who can be paid, with one offering; by the API, because these tests are about students."""

    api: httpx.AsyncClient
    offering_id: str

    @classmethod
    async def create(cls, api: httpx.AsyncClient) -> "_Instructor":
        account = {"email": f"{uuid4()}@instructors.example", "password": "a password that is long"}
        (await api.post("/auth/signup", json=account | {"name": "Nadia", "role": "instructor"})).raise_for_status()
        api.headers["Authorization"] = f"Bearer {(await api.post('/auth/token', json=account)).json()['access_token']}"
        await onboard((await api.post("/instructors/me/onboarding-link")).raise_for_status().json()["url"])
        async with asyncio.timeout(30):
            while True:
                if (await api.get("/instructors/me")).json()["payments"]["can_be_paid"]:
                    break
                await asyncio.sleep(0.2)
        offering = {
            "title": f"Counterpoint {uuid4().hex[:6]}",
            "price": {"amount_minor": 10_000, "currency": "usd"},
            "duration_minutes": 60,
            "min_notice_minutes": 0,
        }
        return cls(api, (await api.post("/offerings", json=offering)).raise_for_status().json()["id"])

    async def slot(self, at: datetime) -> None:
        starts_at = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
        slot = {"starts_at": starts_at.isoformat()}
        (await self.api.post(f"/offerings/{self.offering_id}/slots", json=slot)).raise_for_status()

    async def approve(self, booking_id: str) -> None:
        (await self.api.post(f"/bookings/{booking_id}/approve")).raise_for_status()


async def _sign_up(page: Page, stack: Stack) -> None:
    await page.goto(f"{stack.api_url}/sign-up")
    await page.get_by_label("Name").fill("Ada Byron")
    await page.get_by_label("Email address").fill(f"{uuid4()}@students.example")
    await page.get_by_label("Password").fill("a password that is long")
    await page.get_by_role("button", name="Sign up").click()
    await expect(page.get_by_role("status")).to_be_visible()


async def _pay(page: Page, number: str = "4242 4242 4242 4242") -> None:
    await page.get_by_label("Card number").fill(number)
    await page.get_by_label("Expiry").fill("12 / 34")
    await page.get_by_label("CVC").fill("123")
    await page.get_by_label("Name on card").fill("A. Byron")
    await page.locator("#pay").click()


async def _check(page: Page) -> None:
    assert await violations(page) == [], page.url
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320, page.url
    await page.set_viewport_size({"width": 1200, "height": 800})


async def test_a_booking_from_sign_up_to_receipt(stack: Stack, browser_page: Page) -> None:
    page = browser_page
    async with httpx.AsyncClient(trust_env=False, base_url=f"{stack.api_url}/v1") as api:
        instructor = await _Instructor.create(api)
        await _sign_up(page, stack)
        await instructor.slot(datetime.now(UTC) + _STARTS_IN)
        await page.goto(f"{stack.api_url}/offerings/{instructor.offering_id}")
        await page.locator(".times a").first.click()
        await expect(page.get_by_text("The price is only put on hold now.")).to_be_visible()
        await _check(page)
        await page.get_by_role("button", name="Continue to payment").click()
        await _pay(page)
        # The page that Checkout leads back to changes by itself.
        await expect(page.get_by_text("$100.00 is on hold on your card. You have not been charged.")).to_be_visible()
        await _check(page)
        booking_id = page.url.partition("?")[0].rpartition("/")[2]
        await instructor.approve(booking_id)
        await expect(page.get_by_text("The instructor confirmed the booking.")).to_be_visible()
        await expect(page.get_by_role("link", name="Add to your calendar")).to_be_visible()
        await page.get_by_role("link", name="My bookings").click()
        await _check(page)
        await page.get_by_role("link", name="Counterpoint").click()
        confirm = page.get_by_role("button", name="The session took place")
        # The page changes by itself when the session begins.
        await expect(confirm).to_be_visible(timeout=120_000)
        await _check(page)
        await confirm.click()
        await expect(page.get_by_role("status")).to_contain_text("Thank you.")
        receipt = page.get_by_role("link", name="Receipt (PDF)")
        await expect(receipt).to_be_visible()
        await expect(page.get_by_text("You paid US$100.00.")).to_be_visible()
        async with page.expect_download() as download:
            await receipt.click()
        assert (await download.value).suggested_filename.endswith(".pdf")
        await page.get_by_role("link", name="My account").click()
        await _check(page)


async def test_a_far_booking_is_charged_at_once_and_comes_back_when_it_is_cancelled(
    stack: Stack, browser_page: Page
) -> None:
    page = browser_page
    async with httpx.AsyncClient(trust_env=False, base_url=f"{stack.api_url}/v1") as api:
        instructor = await _Instructor.create(api)
        for days in (21, 22):
            await instructor.slot(datetime.now(UTC) + timedelta(days=days))
        day = (datetime.now(UTC) + timedelta(days=21)).date().isoformat()
        await _sign_up(page, stack)
        await page.goto(f"{stack.api_url}/offerings/{instructor.offering_id}?day={day}")
        await page.locator(".times a").first.click()
        await expect(page.get_by_text("You are charged now.")).to_be_visible()
        await page.get_by_role("button", name="Continue to payment").click()
        await _pay(page)
        await expect(page.get_by_text("You have been charged US$100.00.")).to_be_visible()
        await page.get_by_role("link", name="Propose another time").click()
        await page.get_by_role("radio").first.check()
        await _check(page)
        await page.get_by_role("button", name="Propose this time").click()
        await expect(page.get_by_text("You proposed:")).to_be_visible()
        await _check(page)
        await page.get_by_role("button", name="Withdraw the proposal").click()
        await expect(page.get_by_text("You proposed:")).to_have_count(0)
        await page.get_by_role("link", name="Cancel the booking").click()
        await expect(page.locator(".facts")).to_contain_text("US$100.00")
        await _check(page)
        await page.get_by_role("button", name="Cancel the booking").click()
        await expect(page.get_by_text("You pay nothing: all of US$100.00 goes back to you.")).to_be_visible()
