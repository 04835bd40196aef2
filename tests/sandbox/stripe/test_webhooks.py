"""Webhook deliveries: signatures, subscriptions and retries."""

import json

import pytest
from stripe import PermissionError as StripePermissionError
from stripe import SignatureVerificationError, StripeClient

from tests.sandbox.stripe.platform import API_KEY, Platform
from tests.sandbox.stripe.receiver import Receiver, receiving


async def _endpoint(platform: Platform, receiver: Receiver, events: list[str], connect: bool = False) -> str:
    endpoint = await platform.stripe.v1.webhook_endpoints.create_async(
        {"url": receiver.url, "enabled_events": events, "connect": connect}  # type: ignore[typeddict-item]
    )
    assert endpoint.secret is not None
    return endpoint.secret


async def test_signature_is_verified_by_stripe_python(platform: Platform) -> None:
    async with receiving() as receiver:
        secret = await _endpoint(platform, receiver, ["*"])
        customer = await platform.stripe.v1.customers.create_async(
            {"email": "a@b.test"}, {"idempotency_key": "make-a-customer"}
        )
        [(payload, signature)] = await receiver.wait_for(1)
    client = StripeClient(API_KEY)
    event = client.construct_event(payload, signature, secret)
    assert (event.type, event.data.object["id"], event.livemode) == ("customer.created", customer.id, False)
    assert event.request is not None
    assert event.request.idempotency_key == "make-a-customer"
    with pytest.raises(SignatureVerificationError):
        client.construct_event(payload + b" ", signature, secret)


async def test_delivery_is_retried_until_accepted(platform: Platform) -> None:
    async with receiving() as receiver:
        receiver.statuses = [500, 302]
        await _endpoint(platform, receiver, ["customer.created"])
        await platform.stripe.v1.customers.create_async()
        deliveries = await receiver.wait_for(3)
        assert len({json.loads(payload)["id"] for payload, _ in deliveries}) == 1


async def test_endpoint_secret_is_returned_once_and_not_logged(platform: Platform) -> None:
    form = "url=https://shop.test/hook&enabled_events[]=*"
    created = await platform.raw("POST", "/v1/webhook_endpoints", form, **{"Idempotency-Key": "k"})
    again = await platform.raw("POST", "/v1/webhook_endpoints", form, **{"Idempotency-Key": "k"})
    secret = created.json()["secret"]
    assert again.json()["secret"] == secret
    listed = await platform.raw("GET", "/v1/webhook_endpoints")
    log = await platform.browser.get("/_sandbox/log")
    assert secret not in listed.text + log.text


async def test_connect_endpoint_receives_events_of_connected_accounts_only(platform: Platform) -> None:
    async with receiving() as direct, receiving() as connect:
        await _endpoint(platform, direct, ["*"])
        await _endpoint(platform, connect, ["account.updated"], connect=True)
        account = await platform.account()
        await platform.stripe.v1.customers.create_async()
        [(of_platform, _)] = await direct.wait_for(1)
        [(of_account, _)] = await connect.wait_for(1)
    assert json.loads(of_platform)["type"] == "customer.created"
    event = json.loads(of_account)
    assert (event["type"], event["account"]) == ("account.updated", account.id)


async def test_deleted_endpoint_receives_nothing(platform: Platform) -> None:
    async with receiving() as receiver:
        await _endpoint(platform, receiver, ["*"])
        [endpoint] = (await platform.stripe.v1.webhook_endpoints.list_async()).data
        assert "secret" not in endpoint
        await platform.stripe.v1.webhook_endpoints.delete_async(endpoint.id)
        await platform.stripe.v1.customers.create_async()
        assert (await platform.control("GET", "/deliveries"))["owed"] == []


async def test_deliveries_can_be_held_reversed_duplicated_and_lost(platform: Platform) -> None:
    async with receiving() as receiver:
        await _endpoint(platform, receiver, ["*"])
        await platform.control("POST", "/deliveries", {"held": True})
        intent = await platform.hold()
        await platform.stripe.v1.payment_intents.cancel_async(intent.id)
        assert len((await platform.control("GET", "/deliveries"))["owed"]) == 4
        assert receiver.deliveries == []
        await platform.control("POST", "/deliveries", {"order": "reversed", "copies": 2, "lost": ["charge.*"]})
        deliveries = await receiver.wait_for(6)
    assert [json.loads(payload)["type"] for payload, _ in deliveries] == [
        "payment_intent.canceled",
        "payment_intent.canceled",
        "payment_intent.amount_capturable_updated",
        "payment_intent.amount_capturable_updated",
        "payment_intent.created",
        "payment_intent.created",
    ]


async def test_events_about_one_object_can_be_lost(platform: Platform) -> None:
    async with receiving() as receiver:
        await _endpoint(platform, receiver, ["payment_intent.created"])
        await platform.control("POST", "/deliveries", {"held": True})
        lost, delivered = await platform.hold(), await platform.hold()
        await platform.control("POST", "/deliveries", {"lost": ["*"], "about": lost.id})
        [(payload, _)] = await receiver.wait_for(1)
        assert (await platform.control("GET", "/deliveries"))["owed"] == []
    assert json.loads(payload)["data"]["object"]["id"] == delivered.id


async def test_event_can_be_resent(platform: Platform) -> None:
    async with receiving() as receiver:
        await _endpoint(platform, receiver, ["*"])
        await platform.stripe.v1.customers.create_async()
        [(payload, _)] = await receiver.wait_for(1)
        await platform.control("POST", f"/events/{json.loads(payload)['id']}/resend")
        deliveries = await receiver.wait_for(2)
    assert json.loads(deliveries[0][0])["id"] == json.loads(deliveries[1][0])["id"]


async def test_thin_event_names_the_account_and_is_listed(platform: Platform) -> None:
    """stripe-python verifies the signature and reads the notification."""
    type_ = "v2.core.account[configuration.recipient].capability_status_updated"
    account = await platform.account(onboarded=False)
    async with receiving() as receiver:
        destination = await platform.stripe.v2.core.event_destinations.create_async(
            {
                "name": "Accounts",
                "type": "webhook_endpoint",
                "event_payload": "thin",
                "enabled_events": [type_],
                "webhook_endpoint": {"url": receiver.url},
                "include": ["webhook_endpoint.signing_secret"],
            }
        )
        assert destination.webhook_endpoint is not None
        secret = destination.webhook_endpoint.signing_secret
        assert secret is not None
        await platform.control("POST", f"/accounts/{account.id}/onboard")
        [(payload, signature)] = await receiver.wait_for(1)
    notification = StripeClient(API_KEY).parse_event_notification(payload, signature, secret)
    assert (notification.type, json.loads(payload)["related_object"]["id"]) == (type_, account.id)
    assert "changes" not in json.loads(payload)
    listed = await platform.stripe.v2.core.events.list_async({"object_id": account.id, "types": [type_]})
    assert [event.id for event in listed.data] == [notification.id]
    assert (await platform.stripe.v2.core.events.retrieve_async(notification.id)).type == type_
    later = await platform.stripe.v2.core.events.list_async({"created": {"gte": "2100-01-01T00:00:00Z"}})
    assert later.data == []
    assert secret not in (await platform.browser.get("/_sandbox/log")).text


async def test_closed_account_is_told_of_and_can_still_be_retrieved(platform: Platform) -> None:
    account = await platform.account()
    closed = await platform.stripe.v2.core.accounts.close_async(account.id)
    assert (closed.closed, closed.applied_configurations) == (True, [])
    events = await platform.stripe.v2.core.events.list_async({"object_id": account.id})
    assert events.data[0].type == "v2.core.account.closed"
    again = await platform.stripe.v2.core.accounts.retrieve_async(account.id, {"include": ["requirements"]})
    assert (again.closed, again.contact_email) == (True, None)
    with pytest.raises(StripePermissionError):
        await platform.stripe.v1.accounts.retrieve_async(account.id)
