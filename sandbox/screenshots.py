"""Takes the pictures of README and docs: `python -m sandbox.screenshots` starts a stack, plays bookings, and draws.

They are written to `docs/images`, in light, at a width of 1200 pixels.
"""

import asyncio
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

import httpx
from playwright.async_api import Page, ViewportSize, async_playwright, expect
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.stripe.client import stripe_client
from models.db import build_engine
from sandbox import temporal_pictures
from sandbox.browser.checkout_page import pay
from sandbox.browser.chromium import chromium_program
from sandbox.demo.marketplace import Marketplace, Pair
from sandbox.demo.people import Person
from sandbox.stack import supervision
from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.stack import Stack
from sandbox.up import sign_in_link

SIZE: Final[ViewportSize] = {"width": 1200, "height": 800}
IMAGES: Final = PROJECT_ROOT / "docs" / "images"


async def draw() -> int:
    program = await asyncio.to_thread(chromium_program)
    with tempfile.TemporaryDirectory(prefix="holdfast-screenshots-") as directory:
        async with Stack(Path(directory)) as stack, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=["--headless", "--no-sandbox"])
            page = await browser.new_page(viewport=SIZE)
            await _play_and_draw(stack, page)
            await browser.close()
    return 0


async def _play_and_draw(stack: Stack, page: Page) -> None:
    engine = build_engine(stack.database_url)
    temporal = await Client.connect(stack.temporal_address, data_converter=pydantic_data_converter)
    async with (
        httpx.AsyncClient(base_url=stack.api_url, timeout=30, trust_env=False) as http,
        stripe_client(stack.stripe_key, stack.stripe_url) as stripe,
    ):
        market = Marketplace(stack, http, engine, stripe, temporal)
        await market.open(pairs=1)
        bookings = [await _settled(market, hours) for hours in (48, 50, 52)]
        await market.operator().call(
            "POST", f"/operator/bookings/{bookings[0]}/refund", json={"amount_minor": 2_500, "reason": "It was short."}
        )
        pair, accepted = await _accepted(market, 54)
        await page.set_viewport_size(SIZE)
        await _draw(page, stack, "booking", pair.student, f"/bookings/{accepted}")
        await temporal_pictures.draw(market, page, bookings[0], accepted, pair.instructor)
        await page.set_viewport_size(SIZE)
        await _draw(page, stack, "operator-booking", market.operator(), f"/operator/bookings/{bookings[0]}")
        await _draw(page, stack, "figures", market.operator(), "/operator/figures")
    await engine.dispose()


async def _draw(page: Page, stack: Stack, name: str, person: Person, path: str) -> None:
    await page.goto(sign_in_link(stack, person.role, person.id))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    await page.goto(urljoin(page.url, path))
    await page.screenshot(path=IMAGES / f"{name}.png")
    print(IMAGES / f"{name}.png")


async def _settled(market: Marketplace, hours: int) -> str:
    _, booking_id = await _accepted(market, hours)
    reason = {"reason": "Both say that they met by phone."}
    await market.operator().call("POST", f"/operator/bookings/{booking_id}/settle", json=reason)
    return booking_id


async def _accepted(market: Marketplace, hours: int) -> tuple[Pair, str]:
    [(student, instructor)] = market.people
    pair = Pair(student, instructor, *await market.add_slot(instructor, timedelta(hours=hours), timedelta(hours=1)))
    booking = await pair.student.book(pair.slot_id)
    await pay(booking["checkout_url"])
    await pair.student.wait_until(booking["id"], payment__status="PENDING")
    await pair.instructor.decide(booking["id"], "approve")
    return pair, str(booking["id"])


if __name__ == "__main__":
    sys.exit(supervision.run(draw()))
