import asyncio
from collections.abc import Callable

import httpx
import pytest
import stripe

from models.domain.stripe_events import BOOKING_METADATA
from tests.api.live.journey import REASON, approved, order, seen
from tests.api.stripe_events import event, send
from tests.api.world import JSON, World, problem
from tests.conftest import StripeSandbox

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]


async def disputed(client: httpx.AsyncClient, world: World, sandbox: StripeSandbox, at: stripe.StripeClient) -> JSON:
    """A booking whose captured charge the bank takes back; the dispute as an operator sees it."""
    booking_id = await approved(client, world)
    assert (await order(client, world.operator, booking_id, "settle", REASON)).status_code == 200
    [intent] = [
        intent
        for intent in (await at.v1.payment_intents.list_async({"limit": 100})).data
        if intent.metadata and intent.metadata.to_dict().get(BOOKING_METADATA) == booking_id
    ]
    async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as bank:
        opened = (await bank.post("/_sandbox/disputes", json={"charge": intent.latest_charge})).raise_for_status()
    await tell(client, opened.json()["id"])
    return await eventually(client, world, lambda dispute: bool(dispute["booking_id"] == booking_id))


async def tell(client: httpx.AsyncClient, dispute_id: str) -> None:
    news = event("charge.dispute.created")
    news["data"]["object"] = {"id": dispute_id, "object": "dispute"}
    assert (await send(client, news)).status_code == 200


async def listed(client: httpx.AsyncClient, world: World, **query: str) -> list[JSON]:
    answer = await client.get("/v1/operator/disputes", params=query, headers=world.operator.headers)
    assert answer.status_code == 200, answer.text
    data: list[JSON] = answer.json()["data"]
    return data


async def eventually(client: httpx.AsyncClient, world: World, is_so: Callable[[JSON], bool], **query: str) -> JSON:
    async with asyncio.timeout(20):
        while True:
            for dispute in await listed(client, world, **query):
                if is_so(dispute):
                    return dispute
            await asyncio.sleep(0.05)


async def test_operator_submits_the_evidence_of_a_dispute(
    client: httpx.AsyncClient, world: World, stripe_sandbox: StripeSandbox, stripe_client: stripe.StripeClient
) -> None:
    dispute = await disputed(client, world, stripe_sandbox, stripe_client)
    assert (dispute["status"], dispute["amount"]["amount_minor"], dispute["closed_at"]) == (
        "NEEDS_RESPONSE",
        10_000,
        None,
    )
    shown = await seen(client, world.student, dispute["booking_id"], lambda shown: shown["payment"] is not None)
    assert shown["payment"]["status"] == "DISPUTED"
    path = f"/v1/operator/disputes/{dispute['id']}"
    answer = await client.post(f"{path}/submit", headers=world.operator.headers)
    assert answer.status_code == 200, answer.text
    await eventually(
        client, world, lambda shown: bool(shown["id"] == dispute["id"] and shown["answered_at"]), open="true"
    )
    submitted = await stripe_client.v1.disputes.retrieve_async(dispute["id"])
    assert submitted.evidence.customer_purchase_ip
    again = await client.post(f"{path}/accept", headers=world.operator.headers)
    assert problem(again) == (409, "not-possible-now")


async def test_accepted_dispute_is_listed_as_closed(
    client: httpx.AsyncClient, world: World, stripe_sandbox: StripeSandbox, stripe_client: stripe.StripeClient
) -> None:
    dispute = await disputed(client, world, stripe_sandbox, stripe_client)
    path = f"/v1/operator/disputes/{dispute['id']}"
    assert (await client.post(f"{path}/take-over", headers=world.operator.headers)).json()["taken_over_at"]
    assert (await client.post(f"{path}/accept", headers=world.operator.headers)).status_code == 200
    await eventually(client, world, lambda shown: bool(shown["id"] == dispute["id"]), open="false")
    assert dispute["id"] not in [each["id"] for each in await listed(client, world, open="true")]


async def test_unknown_dispute_is_not_found(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post("/v1/operator/disputes/du_unknown/submit", headers=world.operator.headers)
    assert problem(answer) == (404, "not-found")
