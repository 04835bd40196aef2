"""The pages in Chromium: they load, work with the keyboard and at 320 pixels, and break no rule of accessibility."""

from datetime import UTC, datetime, timedelta

import httpx
from playwright.async_api import Page, expect

from sandbox.stack.stack import Stack
from tests.accessibility import violations

PATHS = (
    "/",
    "/offerings",
    "/policies",
    "/docs",
    "/sign-up",
    "/sign-in",
    "/sign-in/token",
    "/forgotten-password",
    "/nothing",
)


async def test_somebody_signs_up_out_and_in_with_the_keyboard(stack: Stack, browser_page: Page) -> None:
    page = browser_page
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    await page.goto(f"{stack.api_url}/offerings")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.get_by_role("link", name="Sign up").press("Enter")
    await page.get_by_label("Name").fill("Ada")
    await page.get_by_label("Email address").fill("keyboard@students.example")
    await page.get_by_label("Password").fill("nobody")
    await page.get_by_role("button", name="Sign up").press("Enter")
    # The browser's own check comes first, and keeps what was typed.
    await expect(page.get_by_label("Name")).to_have_value("Ada")
    await page.get_by_label("Password").fill("a password that is long")
    await page.get_by_label("Password").press("Enter")
    await expect(page.get_by_role("status")).to_have_text("Your account is ready.")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("status")).to_have_text("You are signed out.")
    await page.get_by_role("link", name="Sign in").click()
    await page.get_by_label("Email address").fill("keyboard@students.example")
    await page.get_by_label("Password").fill("the wrong password")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_be_focused()
    await page.get_by_label("Password").fill("a password that is long")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert errors == []


async def test_every_page_fits_into_320_pixels_and_has_targets_of_44(stack: Stack, browser_page: Page) -> None:
    await browser_page.set_viewport_size({"width": 320, "height": 640})
    for path in PATHS:
        await browser_page.goto(stack.api_url + path)
        assert await browser_page.evaluate("document.documentElement.scrollWidth") <= 320, path
        small = await browser_page.evaluate(
            "[...document.querySelectorAll('button, .button, nav a, input:not([type=hidden], [type=radio]), select')]"
            ".filter(each => each.getBoundingClientRect().height < 44).map(each => each.outerHTML)"
        )
        assert small == [], path


async def test_no_page_breaks_a_rule_of_accessibility(stack: Stack, browser_page: Page) -> None:
    page, found = browser_page, {}
    await _offer(stack.api_url)
    await page.goto(f"{stack.api_url}/offerings")
    offering = await page.locator(".card h3 a").first.get_attribute("href")
    instructor = await page.locator(".card p a").first.get_attribute("href")
    assert offering is not None
    assert instructor is not None
    for path in (*PATHS, offering, instructor, "/offerings?price_min=much"):
        await page.goto(stack.api_url + path)
        found[path] = await violations(page)
    assert {path: broken for path, broken in found.items() if broken} == {}


async def _offer(api_url: str) -> None:
    """An offering with a slot, of a new instructor."""
    account = {"email": "nadia@instructors.example", "password": "a password that is long"}
    async with httpx.AsyncClient(trust_env=False, base_url=f"{api_url}/v1") as client:
        (await client.post("/auth/signup", json=account | {"name": "Nadia", "role": "instructor"})).raise_for_status()
        token = (await client.post("/auth/token", json=account)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        offering = {"title": "Fugue", "price": {"amount_minor": 4_000, "currency": "eur"}, "duration_minutes": 45}
        created = (await client.post("/offerings", json=offering)).raise_for_status()
        starts_at = (datetime.now(UTC) + timedelta(days=2)).replace(second=0, microsecond=0).isoformat()
        path = created.headers["location"].removeprefix("/v1")
        (await client.post(f"{path}/slots", json={"starts_at": starts_at})).raise_for_status()


async def test_the_check_of_accessibility_finds_what_is_wrong(browser_page: Page) -> None:
    await browser_page.set_content(
        "<h3>Too deep</h3><a href='/'></a><input><p style='color: #999; background: #fff'>Faint</p>"
        "<b id='one'></b><b id='one'></b><label for='none'></label><input aria-invalid='true' tabindex='2'>"
    )
    found = " ".join(await violations(browser_page))
    for rule in (
        *("html-has-lang", "document-title", "landmark-one-main", "page-has-heading-one", "link-name"),
        *("label", "color-contrast", "tabindex"),
    ):
        assert f"{rule}:" in found
