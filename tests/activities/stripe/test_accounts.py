"""Instructors' accounts at Stripe: new ones are recipients of Accounts v2, and those of Accounts v1 go on."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import stripe
from stripe.params import AccountCreateParamsCapabilities

from activities.stripe.accounts import StripeAccounts
from activities.stripe.client import stripe_client
from models.domain.actors import Capability
from sandbox.stack.stripe_server import SANDBOX_KEY
from tests.conftest import StripeSandbox

REQUESTED: Any = {"requested": True}


@pytest.fixture
async def client(stripe_sandbox: StripeSandbox) -> AsyncIterator[stripe.StripeClient]:
    async with stripe_client(SANDBOX_KEY, stripe_sandbox.url) as client:
        yield client


@pytest.fixture
def accounts(client: stripe.StripeClient) -> StripeAccounts:
    return StripeAccounts(client, "http://127.0.0.1:1")


async def _older(client: stripe.StripeClient, capabilities: AccountCreateParamsCapabilities) -> str:
    """An account as Holdfast created them before Accounts v2."""
    account = await client.v1.accounts.create_async(
        {
            "controller": {"requirement_collection": "stripe", "stripe_dashboard": {"type": "express"}},
            "capabilities": capabilities,
        }
    )
    return account.id


async def _onboard(accounts: StripeAccounts, account_id: str) -> None:
    """What a person does on Stripe's page."""
    link = await accounts.open_onboarding_link(account_id, key=str(uuid4()))
    async with httpx.AsyncClient(trust_env=False) as browser:
        assert (await browser.post(link.url)).is_redirect


async def test_a_new_account_receives_transfers_once_stripe_has_what_it_requires(accounts: StripeAccounts) -> None:
    account_id = await accounts.create_account(uuid4(), "nadia@example.test", key=str(uuid4()))
    before = await accounts.look_up_account(account_id)
    assert (before.transfers, before.disabled_reason) == (Capability.INACTIVE, "requirements_past_due")
    assert "external_account" in before.requirements
    await _onboard(accounts, account_id)
    after = await accounts.look_up_account(account_id)
    assert (after.transfers, after.requirements, after.disabled_reason) == (Capability.ACTIVE, (), None)


async def test_an_account_is_created_once_for_a_key(accounts: StripeAccounts) -> None:
    instructor_id, key = uuid4(), str(uuid4())
    created = [await accounts.create_account(instructor_id, "nadia@example.test", key=key) for _ in range(2)]
    assert created[0] == created[1]


async def test_an_account_of_accounts_v1_goes_on(client: stripe.StripeClient, accounts: StripeAccounts) -> None:
    account_id = await _older(client, {"card_payments": REQUESTED, "transfers": REQUESTED})
    before = await accounts.look_up_account(account_id)
    assert (before.transfers, "external_account" in before.requirements) == (Capability.INACTIVE, True)
    await _onboard(accounts, account_id)
    assert (await accounts.look_up_account(account_id)).transfers is Capability.ACTIVE


async def test_an_account_that_is_no_recipient_is_asked_of_accounts_v1(
    client: stripe.StripeClient, accounts: StripeAccounts
) -> None:
    account_id = await _older(client, {"card_payments": REQUESTED})
    await _onboard(accounts, account_id)
    state = await accounts.look_up_account(account_id)
    assert (state.transfers, state.requirements, state.disabled_reason) == (Capability.INACTIVE, (), None)


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_deleted_account_is_gone(client: stripe.StripeClient, accounts: StripeAccounts, version: str) -> None:
    if version == "v1":
        account_id = await _older(client, {"transfers": REQUESTED})
    else:
        account_id = await accounts.create_account(uuid4(), "nadia@example.test", key=str(uuid4()))
    await client.v1.accounts.delete_async(account_id)
    state = await accounts.look_up_account(account_id)
    assert (state.transfers, state.disabled_reason) == (Capability.INACTIVE, "account_gone")
