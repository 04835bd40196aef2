"""An operator plays settle, refund and adjust in Chromium."""

import re

from playwright.async_api import Page, expect

from sandbox.demo.marketplace import Marketplace
from sandbox.demo.steps import IN_TWO_DAYS, accepted
from sandbox.stack.stack import Stack
from tests.api.stack.browsers import sign_in


async def test_an_operator_settles_refunds_and_adjusts_with_clicks(
    stack: Stack, market: Marketplace, browser_page: Page
) -> None:
    page, booking_id = browser_page, await accepted(await market.pair(IN_TWO_DAYS))
    await sign_in(page, stack, market.operator())
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
