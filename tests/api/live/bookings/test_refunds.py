"""Refunds by an operator after the end of a booking, over HTTP."""

import asyncio
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
import stripe
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from models.domain.ids import fraud_refund_id, refund_workflow_id
from models.tables.audit import AuditEvent
from models.tables.payments import Payment
from sandbox.browser.checkout_page import pay
from tests.api.live.journey import REASON, approved, booked, decide, order, paid, seen
from tests.api.stripe_events import AUTHORIZED, event, send
from tests.api.world import JSON, World, problem
from tests.conftest import StripeSandbox

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]

COMES_BACK = "4000000000005126"


async def settled(client: httpx.AsyncClient, world: World) -> str:
    booking_id = await approved(client, world)
    assert (await order(client, world.operator, booking_id, "settle", REASON)).status_code == 200
    return booking_id


async def refund(
    client: httpx.AsyncClient, world: World, booking_id: str, amount_minor: int, key: str | None = None, **more: str
) -> httpx.Response:
    return await client.post(
        f"/v1/operator/bookings/{booking_id}/refund",
        json={"amount_minor": amount_minor, **more},
        headers=world.operator.headers | ({"Idempotency-Key": key} if key else {}),
    )


async def ledger(client: httpx.AsyncClient, world: World, booking_id: str) -> JSON:
    answer = await client.get(f"/v1/operator/bookings/{booking_id}/ledger", headers=world.operator.headers)
    assert answer.status_code == 200, answer.text
    page: JSON = answer.json()
    return page


async def test_partial_refund_is_posted_to_the_ledger(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await settled(client, world)
    answer = await refund(client, world, booking_id, 5_000, "k", reason="The lesson was cut short.")
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["status"], shown["payment"]["status"]) == ("COMPLETED", "PARTIALLY_REFUNDED")
    assert shown["payment"]["returned"] == {"amount_minor": 5_000, "currency": "usd"}
    assert shown["session"]["instructor_payout"]["amount_minor"] == 4_000
    [made] = shown["refunds"]
    assert (made["status"], made["reason"]) == ("SUCCEEDED", "The lesson was cut short.")
    assert [made[part]["amount_minor"] for part in ("instructor", "platform_fee", "platform_loss")] == [4_000, 1_000, 0]
    page = await ledger(client, world, booking_id)
    assert [step["kind"] for step in page["data"]] == [
        "hold_placed",
        "hold_ended",
        "captured",
        "stripe_fee",
        "transferred",
        "refunded",
        "transfer_reversed",
        "refund_sent",
    ]
    assert all(sum(line["amount"]["amount_minor"] for line in step["lines"]) == 0 for step in page["data"])
    assert {line["account"]: line["amount"]["amount_minor"] for line in page["balances"]} == {
        "stripe_balance": 680,
        "stripe_fees": 320,
        "connected_balance": 4_000,
        "instructor_payable": -4_000,
        "platform_revenue": -1_000,
    }


async def test_refund_reason_and_operator_are_stored_and_not_in_the_history(
    client: httpx.AsyncClient, world: World, temporal: Client
) -> None:
    booking_id = await settled(client, world)
    shown = (await refund(client, world, booking_id, 100, "k", reason="My cat was ill.")).json()
    history = await temporal.get_workflow_handle(refund_workflow_id(UUID(shown["refunds"][0]["id"]))).fetch_history()
    assert "cat" not in history.to_json()
    query = (
        select(AuditEvent)
        .where(col(AuditEvent.booking_id) == UUID(booking_id))
        .where(col(AuditEvent.action).like("booking.refund%"))
        .order_by(col(AuditEvent.seq))
    )
    async with AsyncSession(world.engine) as session:
        events = [(each.action, each.actor_id, each.channel) for each in await session.exec(query)]
    assert events == [
        ("booking.refund_ordered", world.operator.id, "api"),
        ("booking.refunded", None, "workflow"),
    ]


async def test_same_key_is_the_same_refund(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await settled(client, world)
    answers = await asyncio.gather(*(refund(client, world, booking_id, 2_000, "k") for _ in range(4)))
    assert {answer.status_code for answer in answers} == {200}
    again = await refund(client, world, booking_id, 2_000, "k")
    assert again.json()["payment"]["returned"]["amount_minor"] == 2_000
    assert problem(await refund(client, world, booking_id, 2_001, "k")) == (422, "idempotency-key-reused")
    other = await refund(client, world, booking_id, 2_000, "another")
    assert other.json()["payment"]["returned"]["amount_minor"] == 4_000


async def test_concurrent_refunds_never_exceed_the_payment(
    client: httpx.AsyncClient, world: World, stripe_client: stripe.StripeClient
) -> None:
    booking_id = await settled(client, world)
    answers = await asyncio.gather(*(refund(client, world, booking_id, 3_000, f"k{n}") for n in range(8)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    shown = await seen(client, world.student, booking_id, lambda shown: shown["payment"]["returned"]["amount_minor"])
    made = 3_000 * sum(answer.status_code == 200 for answer in answers)
    assert shown["payment"]["returned"]["amount_minor"] == made <= 9_000
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert problem(refused) == (409, "not-possible-now")
    # All that is left can still go back, and then nothing more.
    assert (await refund(client, world, booking_id, 10_000 - made, "rest")).status_code == 200
    assert problem(await refund(client, world, booking_id, 1, "more")) == (409, "not-possible-now")
    page = await ledger(client, world, booking_id)
    sent = [step for step in page["data"] if step["kind"] == "refund_sent"]
    assert len({step["subject"] for step in sent}) == len(sent)
    assert {line["account"] for line in page["balances"]} == {"stripe_balance", "stripe_fees"}


async def test_repeated_request_without_a_key_is_the_same_refund(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await settled(client, world)
    assert (await refund(client, world, booking_id, 1_000)).status_code == 200
    # That one is over: this is another.
    assert (await refund(client, world, booking_id, 1_000)).json()["payment"]["returned"]["amount_minor"] == 2_000


async def test_repeated_refund_that_ended_the_booking_is_not_a_second_one(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await approved(client, world)
    first = await refund(client, world, booking_id, 2_500, "k", **REASON)
    again = await refund(client, world, booking_id, 2_500, "k", **REASON)
    for answer in (first, again):
        assert answer.status_code == 200, answer.text
        assert answer.json()["payment"]["returned"]["amount_minor"] == 2_500
        assert answer.json()["refunds"] == []


async def test_platform_can_bear_a_refund_only_after_the_end(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await approved(client, world)
    refused = await refund(client, world, booking_id, 2_500, "k", borne_by="PLATFORM")
    assert problem(refused) == (409, "not-possible-now")
    await order(client, world.operator, booking_id, "settle", REASON)
    answer = await refund(client, world, booking_id, 2_500, "k", borne_by="PLATFORM")
    assert answer.json()["session"]["instructor_payout"]["amount_minor"] == 8_000
    assert answer.json()["refunds"][0]["platform_loss"]["amount_minor"] == 2_000


async def test_fully_refunded_booking_is_closed(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await approved(client, world)
    await decide(client, world.instructor, booking_id, "cancel")
    assert problem(await refund(client, world, booking_id, 1, "k")) == (409, "booking-closed")
    assert problem(await order(client, world.operator, booking_id, "retry")) == (409, "booking-closed")


async def test_malformed_key_is_refused(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await settled(client, world)
    assert problem(await refund(client, world, booking_id, 1, "k" * 256)) == (400, "idempotency-key-required")


async def test_failed_refund_is_retried_by_an_operator(
    client: httpx.AsyncClient, world: World, stripe_sandbox: StripeSandbox
) -> None:
    created = await booked(client, world)
    booking_id: str = created["id"]
    assert await pay(created["checkout_url"], COMES_BACK)
    assert (await send(client, event(AUTHORIZED, booking_id))).status_code == 200
    await seen(client, world.student, booking_id, lambda shown: shown["payment"] is not None)
    await decide(client, world.instructor, booking_id, "approve")
    await order(client, world.operator, booking_id, "settle", REASON)
    [made] = (await refund(client, world, booking_id, 2_500, "k")).json()["refunds"]
    async with httpx.AsyncClient(base_url=stripe_sandbox.url, trust_env=False) as bank:
        (await bank.post(f"/_sandbox/refunds/{made['stripe_refund_id']}/fail", json={})).raise_for_status()
    news = event("refund.failed")
    async with AsyncSession(world.engine) as session:
        intent_id = (await session.get_one(Payment, UUID(booking_id))).payment_intent_id
    labels = {"refund_id": made["id"]}
    news["data"]["object"] = {"id": made["stripe_refund_id"], "payment_intent": intent_id, "metadata": labels}
    assert (await send(client, news)).status_code == 200
    shown = await seen(client, world.operator, booking_id, lambda shown: shown["needs_attention"])
    assert shown["refunds"][0]["status"] == "FAILED"
    headers = world.operator.headers | {"Idempotency-Key": "again"}
    for _ in range(2):
        answer = await client.post(f"/v1/operator/bookings/{booking_id}/retry", headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["refunds"][0]["status"] == "SUCCEEDED"
        assert not answer.json()["needs_attention"]
    assert problem(await order(client, world.operator, booking_id, "retry")) == (409, "booking-closed")


async def test_retry_that_stripe_refuses_is_a_conflict_with_the_reason(
    client: httpx.AsyncClient, world: World, stripe_sandbox: StripeSandbox, stripe_client: stripe.StripeClient
) -> None:
    """The student's bank sent the refund back, and has taken the whole charge back meanwhile."""
    created = await booked(client, world)
    booking_id: str = created["id"]
    assert await pay(created["checkout_url"], COMES_BACK)
    assert (await send(client, event(AUTHORIZED, booking_id))).status_code == 200
    await seen(client, world.student, booking_id, lambda shown: shown["payment"] is not None)
    await decide(client, world.instructor, booking_id, "approve")
    await order(client, world.operator, booking_id, "settle", REASON)
    [made] = (await refund(client, world, booking_id, 2_500, "k")).json()["refunds"]
    made_at_stripe = await stripe_client.v1.refunds.retrieve_async(made["stripe_refund_id"])
    async with httpx.AsyncClient(base_url=f"{stripe_sandbox.url}/_sandbox", trust_env=False) as bank:
        (await bank.post(f"/refunds/{made['stripe_refund_id']}/fail", json={})).raise_for_status()
        (await bank.post("/disputes", json={"charge": made_at_stripe.charge})).raise_for_status()
    news = event("refund.failed")
    news["data"]["object"] = {"id": made_at_stripe.id, "payment_intent": made_at_stripe.payment_intent}
    assert (await send(client, news)).status_code == 200
    await seen(client, world.operator, booking_id, lambda shown: shown["needs_attention"])
    answer = await order(client, world.operator, booking_id, "retry")
    assert problem(answer) == (409, "not-possible-now")
    assert "charge_disputed" in answer.json()["detail"]


async def warn(
    client: httpx.AsyncClient,
    world: World,
    stripe_client: stripe.StripeClient,
    stripe_sandbox: StripeSandbox,
    booking_id: str,
) -> JSON:
    shown = await seen(client, world.operator, booking_id, bool)
    intent = await stripe_client.v1.payment_intents.retrieve_async(shown["payment"]["payment_intent_id"])
    async with httpx.AsyncClient(base_url=stripe_sandbox.url, trust_env=False) as bank:
        opened = await bank.post("/_sandbox/early_fraud_warnings", json={"charge": intent.latest_charge})
    warning: JSON = opened.raise_for_status().json()
    return warning


async def test_operator_dismisses_a_warning_about_a_charge_that_is_held(
    client: httpx.AsyncClient, world: World, stripe_client: stripe.StripeClient, stripe_sandbox: StripeSandbox
) -> None:
    booking_id = await paid(client, world, await world.slot(timedelta(days=20)), succeeded=True)
    warning = await warn(client, world, stripe_client, stripe_sandbox, booking_id)
    warned = event("radar.early_fraud_warning.created") | {"data": {"object": warning}}
    assert (await send(client, warned)).status_code == 200
    await seen(client, world.operator, booking_id, lambda shown: shown["needs_attention"])
    answer = await order(client, world.operator, booking_id, "dismiss", {"reason": "Their bank was mistaken."})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["needs_attention"], answer.json()["status"]) == (False, "PENDING")


async def test_operator_dismisses_a_fraud_warning(
    client: httpx.AsyncClient,
    world: World,
    stripe_client: stripe.StripeClient,
    stripe_sandbox: StripeSandbox,
    temporal: Client,
) -> None:
    booking_id = await settled(client, world)
    dismissal = {"reason": "Their bank was mistaken."}
    answer = await order(client, world.operator, booking_id, "dismiss", dismissal)
    assert problem(answer) == (409, "not-possible-now")
    warning = await warn(client, world, stripe_client, stripe_sandbox, booking_id)
    for needs_attention in (True, False):  # A later event of the warning changes nothing.
        warned = event("radar.early_fraud_warning.updated") | {"data": {"object": warning}}
        assert (await send(client, warned)).status_code == 200
        await temporal.get_workflow_handle(refund_workflow_id(fraud_refund_id(warning["id"]))).result()
        shown = await seen(client, world.operator, booking_id, bool)
        assert shown["needs_attention"] is needs_attention
        answer = await order(client, world.operator, booking_id, "dismiss", dismissal)
        assert (answer.status_code, answer.json()["needs_attention"]) == (200, False), answer.text
    assert shown["refunds"] == []
    query = select(AuditEvent.actor_id, AuditEvent.detail).where(
        col(AuditEvent.booking_id) == UUID(booking_id), col(AuditEvent.action) == "booking.fraud_warning_dismissed"
    )
    async with AsyncSession(world.engine) as session:
        dismissed = list(await session.exec(query))
    assert dismissed == [(world.operator.id, dismissal | {"warning_id": warning["id"]})]
