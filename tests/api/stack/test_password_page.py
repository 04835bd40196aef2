"""Resetting a forgotten password in a browser, from the mailed link."""

import asyncio
import re

import httpx
from playwright.async_api import Page, expect

from sandbox.stack.stack import Stack

_ADDRESS = "forgetful@students.example"


async def _link(mailbox_url: str) -> str:
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False, base_url=mailbox_url) as mailbox:
        while True:
            for mail in (await mailbox.get("/mails.json")).json():
                if _ADDRESS in str(mail["to"]) and (
                    found := re.search(r"http\S+/password-reset\?language=en#\S+", mail["text"])
                ):
                    return found[0]
            await asyncio.sleep(0.1)


async def test_new_password_is_set_once_from_the_mailed_link(stack: Stack, browser_page: Page) -> None:
    account = {"email": _ADDRESS, "password": "the one that is forgotten"}
    async with httpx.AsyncClient(trust_env=False, base_url=f"{stack.api_url}/v1/auth") as client:
        person = account | {"name": "Ada", "role": "student", "time_zone": "UTC"}
        (await client.post("/signup", json=person)).raise_for_status()
        assert (await client.post("/password-reset", json={"email": _ADDRESS})).status_code == 202

        link = await _link(stack.mailbox_url)
        await browser_page.goto(link)
        await browser_page.get_by_label("New password, at least 15 characters").fill("one that is remembered")
        await browser_page.get_by_role("button", name="Change password").click()
        await expect(browser_page.get_by_text("Your password has been changed. You can now sign in.")).to_be_visible()

        assert (await client.post("/token", json=account)).status_code == 401
        renewed = account | {"password": "one that is remembered"}
        assert (await client.post("/token", json=renewed)).status_code == 200

    await browser_page.goto(link)
    await browser_page.get_by_label("New password, at least 15 characters").fill("another one, by the same link")
    await browser_page.get_by_role("button", name="Change password").click()
    await expect(browser_page.get_by_role("alert")).to_contain_text("The link is invalid, expired or used.")
    await expect(browser_page.get_by_text("Your password has been changed")).to_have_count(0)
