"""An operator plays settle, refund and adjust in Chromium."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from playwright.async_api import Page, expect
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.stripe.client import stripe_client
from models.db import build_engine
from sandbox.browser.checkout_page import pay
from sandbox.demo.marketplace import Marketplace
from sandbox.stack.stack import Stack


@pytest.fixture
async def market(stack: Stack) -> AsyncIterator[Marketplace]:
    engine = build_engine(stack.database_url)
    temporal = await Client.connect(stack.temporal_address, data_converter=pydantic_data_converter)
    async with (
        httpx.AsyncClient(base_url=stack.api_url, timeout=30, trust_env=False) as http,
        stripe_client(stack.stripe_key, stack.stripe_url) as stripe,
    ):
        market = Marketplace(stack, http, engine, stripe, temporal)
        await market.open(pairs=1)
        yield market
    await engine.dispose()


async def _approved(market: Marketplace) -> str:
    pair = await market.pair(timedelta(hours=48))
    booking = await pair.student.book(pair.slot_id)
    await pay(booking["checkout_url"])
    await pair.student.wait_until(booking["id"], payment__status="PENDING")
    await pair.instructor.decide(booking["id"], "approve")
    return str(booking["id"])


async def test_an_operator_settles_refunds_and_adjusts_with_clicks(
    stack: Stack, market: Marketplace, browser_page: Page
) -> None:
    page, booking_id = browser_page, await _approved(market)
    await page.goto(f"{stack.api_url}/sign-in/token#{market.operator().token}")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Needs attention", level=1)).to_be_visible()

    await page.get_by_role("link", name="Bookings").click()
    await page.get_by_label("Find").fill(booking_id)
    await page.get_by_role("button", name="Find").click()
    await page.get_by_text("Settle: the instructor gets their whole share").click()
    await page.get_by_label("Reason").fill("Both say that they met by phone.")
    await page.get_by_role("button", name="Settle").click()
    await expect(page.get_by_role("status")).to_have_text("The booking is settled.")
    await expect(page.get_by_text("Both say that they met by phone.")).to_be_visible()

    await page.get_by_role("link", name="Refund a part").click()
    await page.get_by_label("Amount").fill("25.00")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator("main")).to_contain_text(re.compile(r"To the instructor\s*US\$60.00"))
    await page.get_by_role("button", name="Refund", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("US$25.00 goes back to the student.")
    record = await market.operator().get_booking(booking_id)
    assert record["payment"]["captured"]["amount_minor"] == 7_500

    await market.return_fee(booking_id, 500)
    await page.get_by_role("link", name="Reconciliation").click()
    await page.get_by_role("button", name="Start a run now").click()
    await market.reconcile()
    await page.get_by_role("link", name="Drifts", exact=True).click()
    # Other tests on the stack may leave drifts, too.
    found = await market.operator().call("GET", "/operator/drifts?open=true")
    drift = next(f"/operator/drifts/{each['id']}" for each in found["data"] if each["booking_id"] == booking_id)
    await page.locator(f"a[href='{drift}']").click()
    await page.get_by_label("Reason").fill("Half of the fee was returned, as agreed.")
    await page.get_by_role("button", name="Adjust the ledger").click()
    await expect(page.get_by_role("status")).to_have_text("The ledger is adjusted to what Stripe has.")
