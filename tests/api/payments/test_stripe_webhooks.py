"""Verification and filtering of Stripe events. Temporal is down: a 503 means that an event was accepted for routing."""

import json
import time
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlmodel.ext.asyncio.session import AsyncSession
from stripe import WebhookSignature

from models.domain.policy import PaymentPlan
from models.domain.states import PaymentStatus
from models.domain.stripe_events import CONNECT_EVENTS, DEAUTHORIZED, PLATFORM_EVENTS, THIN_EVENTS
from models.tables.payments import Payment
from models.tables.people import Instructor
from tests.api.stripe_events import PATH, account_event, event, send, send_connect, thin_event
from tests.api.world import CONNECT_WEBHOOK_KEY, JSON, WEBHOOK_KEY, World, problem


@pytest.mark.parametrize("type_", sorted(PLATFORM_EVENTS))
async def test_without_temporal_the_response_makes_stripe_retry(
    client: httpx.AsyncClient, world: World, type_: str
) -> None:
    booking_id = await _with_payment(world, "pi_1")
    answer = await send(client, event(type_, booking_id))
    assert problem(answer) == (503, "unavailable")
    assert answer.headers["retry-after"]


async def test_a_forged_event_is_refused(client: httpx.AsyncClient) -> None:
    answer = await send(client, event(booking_id=uuid4()), key="whsec_somebody_else")
    assert problem(answer) == (400, "signature-invalid")


async def test_a_changed_body_is_refused(client: httpx.AsyncClient) -> None:
    signature = WebhookSignature.generate_signature_header(json.dumps(event(booking_id=uuid4())), WEBHOOK_KEY)
    answer = await client.post(PATH, json=event(booking_id=uuid4()), headers={"Stripe-Signature": signature})
    assert problem(answer) == (400, "signature-invalid")


async def test_an_event_signed_too_long_ago_is_refused(client: httpx.AsyncClient) -> None:
    answer = await send(client, event(booking_id=uuid4()), at=int(time.time()) - 301)
    assert problem(answer) == (400, "signature-invalid")


async def test_an_event_signed_recently_is_accepted(client: httpx.AsyncClient) -> None:
    answer = await send(client, event(booking_id=uuid4()), at=int(time.time()) - 240)
    assert problem(answer) == (503, "unavailable")


@pytest.mark.parametrize("signature", [None, "", "t=1", "v1=00", "t=x,v1=00", "t=,v1=", "=,=,="])
async def test_a_missing_or_broken_signature_is_refused(client: httpx.AsyncClient, signature: str | None) -> None:
    headers = {} if signature is None else {"Stripe-Signature": signature}
    answer = await client.post(PATH, json=event(booking_id=uuid4()), headers=headers)
    assert problem(answer) == (400, "signature-invalid")


async def test_a_body_that_is_not_text_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, content=b"\xff\xfe", headers={"Stripe-Signature": "t=1,v1=00"})
    assert problem(answer) == (400, "signature-invalid")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"type": "payment_intent.canceled"}'])
async def test_a_signed_body_that_is_not_an_event_is_refused(client: httpx.AsyncClient, body: str) -> None:
    assert problem(await send(client, body)) == (400, "signature-invalid")


@pytest.mark.parametrize(("capture_method", "status"), [("automatic_async", 503), ("manual", 200)])
async def test_a_success_is_routed_for_a_charge_and_ignored_for_a_capture(
    client: httpx.AsyncClient, world: World, capture_method: str, status: int
) -> None:
    """Only Holdfast captures a hold, and has the answer already."""
    succeeded = event("payment_intent.succeeded", await _with_payment(world, "pi_1"))
    succeeded["data"]["object"]["capture_method"] = capture_method
    assert (await send(client, succeeded)).status_code == status


@pytest.mark.parametrize("type_", ["payment_intent.created", "charge.succeeded", "account.updated"])
async def test_an_event_of_another_type_is_acknowledged_and_ignored(client: httpx.AsyncClient, type_: str) -> None:
    assert (await send(client, event(type_, uuid4()))).status_code == 200


@pytest.mark.parametrize("data", [None, [], {"object": None}, {"object": {"metadata": {"bookingRequestId": 7}}}])
async def test_an_unexpected_payload_is_acknowledged_and_ignored(client: httpx.AsyncClient, data: object) -> None:
    assert (await send(client, event() | {"data": data})).status_code == 200


@pytest.mark.parametrize("booking_id", [None, "order-7"])
async def test_an_event_without_a_booking_is_acknowledged_and_ignored(
    client: httpx.AsyncClient, booking_id: str | None
) -> None:
    assert (await send(client, event(booking_id=booking_id))).status_code == 200


async def test_a_refund_without_a_payment_intent_does_not_match_an_unpaid_booking(
    client: httpx.AsyncClient, world: World
) -> None:
    await _with_payment(world, None)
    refund: JSON = {"object": {"id": "re_1", "object": "refund", "payment_intent": None, "metadata": {}}}
    assert (await send(client, event("refund.created") | {"data": refund})).status_code == 200


async def _with_payment(world: World, payment_intent_id: str | None) -> UUID:
    """A booking whose payment has this PaymentIntent."""
    now = datetime.now(UTC)
    booking_id = await world.booking(await world.slot())
    payment = Payment(
        booking_id=booking_id,
        plan=PaymentPlan.HOLD,
        status=PaymentStatus.PENDING,
        amount_minor=10_000,
        currency="usd",
        payment_intent_id=payment_intent_id,
        created_at=now,
        updated_at=now,
    )
    await world.add(payment)
    return booking_id


async def test_both_secrets_are_valid_during_a_rotation(app: FastAPI, client: httpx.AsyncClient) -> None:
    app.state.settings.http.stripe_webhook_secret = SecretStr("whsec_new,whsec_old")
    statuses = [
        (await send(client, event(booking_id=uuid4()), key=key)).status_code
        for key in ("whsec_new", "whsec_old", "whsec_older")
    ]
    assert statuses == [503, 503, 400]


@pytest.mark.parametrize("type_", sorted({*CONNECT_EVENTS, DEAUTHORIZED}))
async def test_without_temporal_the_connect_response_makes_stripe_retry(
    client: httpx.AsyncClient, world: World, type_: str
) -> None:
    answer = await send_connect(client, account_event("acct_test", type_))
    assert problem(answer) == (503, "unavailable")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("type_", sorted(THIN_EVENTS))
async def test_a_thin_event_is_about_the_account_that_it_names(
    client: httpx.AsyncClient, world: World, type_: str
) -> None:
    # Temporal is down: it was accepted for routing.
    assert problem(await send_connect(client, thin_event("acct_test", type_))) == (503, "unavailable")
    assert (await send_connect(client, thin_event("acct_strangers", type_))).status_code == 200
    assert (await send_connect(client, thin_event("acct_test", type_) | {"livemode": True})).status_code == 200


@pytest.mark.parametrize("related", [None, {"id": None, "type": "v2.core.account"}, {"type": "v2.core.person"}])
async def test_a_thin_event_about_no_account_is_acknowledged_and_ignored(
    client: httpx.AsyncClient, world: World, related: JSON | None
) -> None:
    about_nothing = thin_event("acct_test", min(THIN_EVENTS)) | {"related_object": related}
    assert (await send_connect(client, about_nothing)).status_code == 200


@pytest.mark.parametrize("key", [WEBHOOK_KEY, "whsec_somebody_else"])
async def test_the_two_endpoints_have_different_secrets(client: httpx.AsyncClient, world: World, key: str) -> None:
    assert problem(await send_connect(client, account_event("acct_test"), key)) == (400, "signature-invalid")
    assert problem(await send(client, event(booking_id=uuid4()), CONNECT_WEBHOOK_KEY)) == (400, "signature-invalid")


@pytest.mark.parametrize(
    ("account_id", "type_"),
    [("acct_strangers", "account.updated"), (None, "account.updated"), ("acct_test", "person.created")],
)
async def test_an_event_without_an_onboarding_is_acknowledged_and_ignored(
    client: httpx.AsyncClient, world: World, account_id: str | None, type_: str
) -> None:
    assert (await send_connect(client, account_event(account_id, type_))).status_code == 200


async def test_an_event_of_the_other_mode_is_acknowledged_and_dropped(client: httpx.AsyncClient, world: World) -> None:
    answers = [await send(client, event(booking_id=uuid4()) | {"livemode": True})]
    async with AsyncSession(world.engine) as session:
        instructor = await session.get_one(Instructor, world.instructor.id)
    of_account = account_event(instructor.stripe_account_id)
    answers.append(await send_connect(client, of_account | {"livemode": True}))
    assert [answer.status_code for answer in answers] == [200, 200]
    # Of the key's own mode, the same events are routed.
    assert problem(await send_connect(client, of_account)) == (503, "unavailable")
