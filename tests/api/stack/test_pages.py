"""The pages in Chromium work with the keyboard."""

from playwright.async_api import Page, expect

from sandbox.stack.stack import Stack


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
