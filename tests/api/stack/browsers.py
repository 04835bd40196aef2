"""What people do in Chromium, in several plays."""

from uuid import uuid4

from playwright.async_api import Page, expect

from sandbox.demo.people import Person
from sandbox.stack.stack import Stack
from sandbox.up import sign_in_link

# The machine may be busy with other tests.
expect.set_options(timeout=20_000)


async def another(page: Page) -> Page:
    """Of somebody else: it shares no cookies."""
    browser = page.context.browser
    assert browser is not None
    return await (await browser.new_context()).new_page()


async def sign_up(page: Page, stack: Stack) -> None:
    await page.goto(f"{stack.api_url}/sign-up")
    await page.get_by_label("Name").fill("Ada Byron")
    await page.get_by_label("Email address").fill(f"{uuid4()}@students.example")
    await page.get_by_label("Password").fill("a password that is long")
    await page.get_by_role("button", name="Sign up").click()
    await expect(page.get_by_role("status")).to_be_visible()


async def sign_in(page: Page, stack: Stack, person: Person) -> None:
    """With the links that `./run up` prints."""
    await page.goto(sign_in_link(stack, person.role, person.id))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


async def pay(page: Page) -> None:
    """On Checkout, which then leads back."""
    await page.get_by_label("Card number").fill("4242 4242 4242 4242")
    await page.get_by_label("Expiry").fill("12 / 34")
    await page.get_by_label("CVC").fill("123")
    await page.get_by_label("Name on card").fill("A. Byron")
    await page.locator("#pay").click()
