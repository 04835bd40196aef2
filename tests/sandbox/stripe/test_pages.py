"""The hosted pages in a browser."""

from playwright.async_api import Page, expect
from stripe.checkout import Session

from tests.sandbox.stripe.platform import CARD_REQUIRING_3DS, DECLINED_CARD, GOOD_CARD, Platform


async def _open_session(platform: Platform) -> Session:
    return await platform.checkout(
        payment_intent_data={"capture_method": "manual"},
        custom_text={"submit": {"message": "20.00 USD of this is the platform's fee."}},
        success_url=f"{platform.url}/_sandbox/health?session={{CHECKOUT_SESSION_ID}}",
        cancel_url=f"{platform.url}/_sandbox/clock",
    )


async def _pay(page: Page, number: str) -> None:
    await page.get_by_label("Card number").fill(number)
    await page.get_by_label("Expiry").fill("12 / 34")
    await page.get_by_label("CVC").fill("123")
    await page.get_by_label("Name on card").fill("Ada Lovelace")
    await page.get_by_role("button", name="Pay $").click()


async def test_checkout_shows_the_amount_and_takes_payment(platform: Platform, browser_page: Page) -> None:
    session = await _open_session(platform)
    await browser_page.goto(str(session.url))
    await expect(browser_page.get_by_role("note")).to_contain_text("SANDBOX")
    await expect(browser_page.locator("#amount")).to_have_text("$100.00")
    await expect(browser_page.get_by_text("One hour of Greek")).to_be_visible()
    await expect(browser_page.locator("#disclosure")).to_have_text("20.00 USD of this is the platform's fee.")
    await expect(browser_page.get_by_role("cell", name=GOOD_CARD)).to_be_visible()
    await _pay(browser_page, "4242 4242 4242 4242")
    await browser_page.wait_for_url(f"**/_sandbox/health?session={session.id}")
    assert (await platform.stripe.v1.checkout.sessions.retrieve_async(session.id)).status == "complete"


async def test_checkout_shows_a_decline_and_takes_another_card(platform: Platform, browser_page: Page) -> None:
    session = await _open_session(platform)
    await browser_page.goto(str(session.url))
    await _pay(browser_page, DECLINED_CARD)
    await expect(browser_page.get_by_role("alert")).to_have_text("Your card was declined.")
    await expect(browser_page.get_by_label("Name on card")).to_have_value("Ada Lovelace")
    await _pay(browser_page, "4242 1234")
    await expect(browser_page.get_by_role("alert")).to_contain_text("Your card number is invalid.")
    await _pay(browser_page, GOOD_CARD)
    await browser_page.wait_for_url("**/_sandbox/health?**")


async def test_back_link_leaves_the_session_open(platform: Platform, browser_page: Page) -> None:
    session = await _open_session(platform)
    await browser_page.goto(str(session.url))
    await browser_page.get_by_role("link", name="Back").click()
    await browser_page.wait_for_url("**/_sandbox/clock")
    assert (await platform.stripe.v1.checkout.sessions.retrieve_async(session.id)).status == "open"


async def test_challenge_can_be_retried_after_a_failure(platform: Platform, browser_page: Page) -> None:
    session = await _open_session(platform)
    await browser_page.goto(str(session.url))
    await _pay(browser_page, CARD_REQUIRING_3DS)
    await browser_page.get_by_role("button", name="Fail authentication").click()
    await expect(browser_page.get_by_role("alert")).to_contain_text("unable to authenticate")
    await _pay(browser_page, CARD_REQUIRING_3DS)
    await browser_page.get_by_role("button", name="Complete authentication").click()
    await browser_page.wait_for_url("**/_sandbox/health?**")


async def test_wallet_is_approved_on_its_own_page(platform: Platform, browser_page: Page) -> None:
    session = await _open_session(platform)
    await browser_page.goto(str(session.url))
    await browser_page.get_by_role("button", name="Klarna").click()
    await browser_page.get_by_role("button", name="Fail test payment").click()
    await expect(browser_page.get_by_role("alert")).to_contain_text("unable to authenticate")
    await browser_page.get_by_role("button", name="Klarna").click()
    await browser_page.get_by_role("button", name="Authorize test payment").click()
    await browser_page.wait_for_url("**/_sandbox/health?**")


async def test_bank_debit_is_paid_from_the_chosen_account(platform: Platform, browser_page: Page) -> None:
    session = await platform.checkout(success_url=f"{platform.url}/_sandbox/health")
    await browser_page.goto(str(session.url))
    await browser_page.get_by_label("Test account").select_option("000222222227")
    await browser_page.get_by_role("button", name="US bank account").click()
    await browser_page.wait_for_url("**/_sandbox/health")
    [intent] = (await platform.stripe.v1.payment_intents.list_async()).data
    assert intent.status == "processing"


async def test_onboarding_page_enables_payouts(platform: Platform, browser_page: Page) -> None:
    account = await platform.account(onboarded=False)
    link = await platform.stripe.v1.account_links.create_async(
        {"account": account.id, "type": "account_onboarding", "return_url": f"{platform.url}/_sandbox/health"}
    )
    await browser_page.goto(link.url)
    await expect(browser_page.get_by_role("note")).to_contain_text("SANDBOX")
    await browser_page.get_by_role("button", name="Agree and submit").click()
    await browser_page.wait_for_url("**/_sandbox/health")
    account = await platform.stripe.v1.accounts.retrieve_async(account.id)
    assert account.payouts_enabled


async def test_checkout_fits_a_phone_screen(platform: Platform, browser_page: Page) -> None:
    session = await _open_session(platform)
    await browser_page.set_viewport_size({"width": 360, "height": 640})
    await browser_page.goto(str(session.url))
    width: int = await browser_page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360


async def test_clock_is_advanced_by_a_click(platform: Platform, browser_page: Page) -> None:
    await browser_page.goto(platform.url)
    await browser_page.get_by_role("button", name="A day").click()
    await expect(browser_page.get_by_text("Ahead of the real time")).to_be_visible()
    assert (await platform.control("GET", "/clock"))["offset_seconds"] == 86_400
