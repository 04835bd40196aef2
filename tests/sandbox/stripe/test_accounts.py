"""Connected accounts in v1 and v2, from creation to active transfers."""

import pytest
from stripe import InvalidRequestError, PermissionError

from tests.sandbox.stripe.platform import Platform


async def test_onboarding_page_activates_transfers(platform: Platform) -> None:
    account = await platform.account(onboarded=False)
    assert account.capabilities is not None
    assert account.capabilities.transfers == "inactive"
    link = await platform.stripe.v1.account_links.create_async(
        {
            "account": account.id,
            "type": "account_onboarding",
            "refresh_url": "https://shop.test/again",
            "return_url": "https://shop.test/done",
        }
    )
    page = await platform.browser.get(link.url)
    assert "SANDBOX" in page.text
    done = await platform.browser.post(link.url, data={"first_name": "Jenny"})
    assert done.headers["location"] == "https://shop.test/done"
    again = await platform.browser.get(link.url)
    assert again.status_code == 410
    account = await platform.stripe.v1.accounts.retrieve_async(account.id)
    assert account.capabilities is not None
    assert (account.capabilities.transfers, account.payouts_enabled, account.details_submitted) == (
        "active",
        True,
        True,
    )
    capability = await platform.stripe.v1.accounts.capabilities.retrieve_async(account.id, "transfers")
    assert capability.status == "active"


async def test_expired_link_redirects_to_the_refresh_url(platform: Platform) -> None:
    account = await platform.account(onboarded=False)
    link = await platform.stripe.v1.account_links.create_async(
        {"account": account.id, "type": "account_onboarding", "refresh_url": "https://shop.test/again"}
    )
    await platform.advance(300)
    late = await platform.browser.get(link.url)
    assert late.headers["location"] == "https://shop.test/again"


async def test_v2_recipient_account_receives_transfers(platform: Platform) -> None:
    account = await platform.stripe.v2.core.accounts.create_async(
        {
            "contact_email": "jenny@teacher.test",
            "display_name": "Jenny",
            "dashboard": "express",
            "identity": {"country": "us", "entity_type": "individual"},
            "defaults": {"responsibilities": {"fees_collector": "application", "losses_collector": "application"}},
            "configuration": {
                "recipient": {"capabilities": {"stripe_balance": {"stripe_transfers": {"requested": True}}}}
            },
            "include": ["configuration.recipient", "requirements"],
        }
    )
    assert account.requirements is not None
    assert account.requirements.entries
    link = await platform.stripe.v2.core.account_links.create_async(
        {
            "account": account.id,
            "use_case": {
                "type": "account_onboarding",
                "account_onboarding": {
                    "refresh_url": "https://shop.test/again",
                    "return_url": "https://shop.test/done",
                },
            },
        }
    )
    await platform.browser.post(link.url, data={})
    account = await platform.stripe.v2.core.accounts.retrieve_async(
        account.id, {"include": ["configuration.recipient", "defaults", "identity", "requirements"]}
    )
    assert account.configuration is not None
    recipient = account.configuration.recipient
    assert recipient is not None
    assert recipient.capabilities is not None
    assert recipient.capabilities.stripe_balance is not None
    assert recipient.capabilities.stripe_balance.stripe_transfers is not None
    assert recipient.capabilities.stripe_balance.stripe_transfers.status == "active"
    intent = await platform.destination_hold(account.id)
    await platform.stripe.v1.payment_intents.capture_async(intent.id)
    assert await platform.net(account.id) == 8_000


async def test_prefilled_account_is_active_immediately(platform: Platform) -> None:
    account = await platform.stripe.v1.accounts.create_async(
        {
            "country": "US",
            "controller": {"requirement_collection": "application", "stripe_dashboard": {"type": "none"}},
            "capabilities": {"transfers": {"requested": True}},
            "individual": {"first_name": "Jenny", "last_name": "Rosen"},
            "external_account": "btok_us_verified",
            "tos_acceptance": {"date": 1_767_225_600, "ip": "127.0.0.1"},
        }
    )
    assert account.capabilities is not None
    assert account.capabilities.transfers == "active"


async def test_unconnected_account_is_forbidden(platform: Platform) -> None:
    with pytest.raises(PermissionError) as retrieving:
        await platform.stripe.v1.accounts.retrieve_async("acct_1Nobody")
    with pytest.raises(PermissionError) as acting:
        await platform.stripe.v1.balance.retrieve_async({}, {"stripe_account": "acct_1Nobody"})
    for refused in (retrieving.value, acting.value):
        assert refused.error is not None
        assert (refused.http_status, refused.error.code) == (403, "account_invalid")


async def test_login_link_requires_completed_onboarding(platform: Platform) -> None:
    account = await platform.account(onboarded=False)
    with pytest.raises(InvalidRequestError):
        await platform.stripe.v1.accounts.login_links.create_async(account.id)
    await platform.control("POST", f"/accounts/{account.id}/onboard")
    link = await platform.stripe.v1.accounts.login_links.create_async(account.id)
    assert link.url.startswith(platform.url)
