"""Webhook endpoints over the API: who may manage them, which URLs they may have, secrets, messages and replays."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import PLATFORM, Subject
from models.domain.messages import Channel
from models.domain.webhooks import WebhookEvent, signing_secret
from models.settings import WebhookSettings
from models.tables.audit import event_about
from models.tables.webhooks import WebhookDelivery, WebhookEndpoint
from tests.api.world import JSON, WEBHOOK_SIGNING_KEY, World, audited, problem

NEW = {"url": "https://crm.platform.example/holdfast", "events": ["booking.accepted", "payout.paid"]}


async def create(client: httpx.AsyncClient, world: World, **more: Any) -> JSON:
    answer = await client.post("/v1/webhooks", json=NEW | more, headers=world.operator.headers)
    assert answer.status_code == 201, answer.text
    created: JSON = answer.json()
    return created


async def happen(world: World, action: str = "booking.accepted") -> None:
    event = event_about(Subject.BOOKING, uuid4(), action, PLATFORM, Channel.WORKFLOW, datetime.now(UTC))
    await world.add(event)


async def messages(client: httpx.AsyncClient, world: World, id: str, **params: Any) -> list[JSON]:
    answer = await client.get(f"/v1/webhooks/{id}/messages", params=params, headers=world.operator.headers)
    assert answer.status_code == 200, answer.text
    data: list[JSON] = answer.json()["data"]
    return data


async def set_delivery(world: World, **values: Any) -> None:
    async with AsyncSession(world.engine) as session, session.begin():
        await session.exec(update(WebhookDelivery).values(values))


async def test_secret_is_shown_once_and_not_stored(client: httpx.AsyncClient, world: World) -> None:
    created = await create(client, world)
    secret = created.pop("secret")
    assert secret == signing_secret(WEBHOOK_SIGNING_KEY, UUID(created["id"]), 1)
    shown = await client.get(f"/v1/webhooks/{created['id']}", headers=world.operator.headers)
    assert shown.json() == created
    listed = await client.get("/v1/webhooks", headers=world.operator.headers)
    assert listed.json() == {"data": [created], "next_cursor": None}
    async with AsyncSession(world.engine) as session:
        (row,) = (await session.exec(select(WebhookEndpoint))).all()
    assert secret not in repr(row)
    (event,) = await audited(world.engine, UUID(created["id"]))
    assert (event.action, event.actor_id, event.detail) == ("webhook.created", world.operator.id, {})


async def test_endpoint_gets_all_events_by_default(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post("/v1/webhooks", json={"url": NEW["url"]}, headers=world.operator.headers)
    assert set(answer.json()["events"]) == {event.value for event in WebhookEvent}


async def test_repeated_request_creates_one_endpoint(client: httpx.AsyncClient, world: World) -> None:
    headers = world.operator.headers | {"Idempotency-Key": "a key"}
    first, again = [await client.post("/v1/webhooks", json=NEW, headers=headers) for _ in range(2)]
    assert first.json() == again.json()


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.platform.example/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.1:8443/",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/",
        "https://postgres:5432/",
        "https://user:password@crm.platform.example/",
        "https://crm.platform.example/#fragment",
        "https://crm.platform.example:99999/",
        "ftp://crm.platform.example/",
        "https:///nowhere",
        "crm.platform.example",
    ],
)
async def test_url_that_no_message_may_be_sent_to_is_refused(client: httpx.AsyncClient, world: World, url: str) -> None:
    refused = await client.post("/v1/webhooks", json=NEW | {"url": url}, headers=world.operator.headers)
    assert problem(refused) == (422, "request-invalid")
    created = await create(client, world)
    path = f"/v1/webhooks/{created['id']}"
    assert problem(await client.patch(path, json={"url": url}, headers=world.operator.headers)) == (
        422,
        "request-invalid",
    )


async def test_local_stack_may_send_to_this_machine(client: httpx.AsyncClient, world: World, app: FastAPI) -> None:
    local = {"holdfast_env": "development", "holdfast_webhook_allow_private": True}
    webhooks = WebhookSettings.model_validate({"holdfast_webhook_key": WEBHOOK_SIGNING_KEY} | local)
    before = app.state.settings.webhooks
    object.__setattr__(app.state.settings, "webhooks", webhooks)
    try:
        assert (await create(client, world, url="http://127.0.0.1:8000/hook"))["is_enabled"]
    finally:
        object.__setattr__(app.state.settings, "webhooks", before)


def test_production_refuses_private_addresses_and_weak_keys() -> None:
    with pytest.raises(ValueError, match="HOLDFAST_WEBHOOK_ALLOW_PRIVATE"):
        WebhookSettings.model_validate({"holdfast_webhook_allow_private": True})
    with pytest.raises(ValueError, match="at least 32 bytes"):
        WebhookSettings.model_validate({"holdfast_webhook_key": f"{'x' * 32},short"})


async def test_twenty_endpoints_are_enough(client: httpx.AsyncClient, world: World) -> None:
    for _ in range(20):
        await create(client, world)
    answer = await client.post("/v1/webhooks", json=NEW, headers=world.operator.headers)
    assert problem(answer) == (409, "too-many-webhooks")


async def test_endpoint_is_changed_disabled_and_deleted(client: httpx.AsyncClient, world: World) -> None:
    created = await create(client, world)
    path, headers = f"/v1/webhooks/{created['id']}", world.operator.headers
    await happen(world)
    changed = await client.patch(path, json={"events": ["dispute.opened"], "is_enabled": False}, headers=headers)
    assert (changed.json()["events"], changed.json()["disabled_reason"]) == (["dispute.opened"], "by_request")
    await happen(world, "booking.dispute_opened")
    assert len(await messages(client, world, created["id"])) == 1
    enabled = await client.patch(path, json={"is_enabled": True}, headers=headers)
    assert (enabled.json()["is_enabled"], enabled.json()["disabled_reason"]) == (True, None)
    await happen(world, "booking.dispute_opened")
    assert [each["event"] for each in await messages(client, world, created["id"])] == [
        "dispute.opened",
        "booking.accepted",
    ]
    assert (await client.delete(path, headers=headers)).status_code == 204
    assert problem(await client.get(path, headers=headers)) == (404, "not-found")
    actions = [event.action for event in await audited(world.engine, UUID(created["id"]))]
    assert actions == ["webhook.created", "webhook.changed", "webhook.changed", "webhook.deleted"]


async def test_secret_is_rotated_once_for_each_key(client: httpx.AsyncClient, world: World) -> None:
    created = await create(client, world)
    path, headers = f"/v1/webhooks/{created['id']}/rotate-secret", world.operator.headers | {"Idempotency-Key": "k"}
    first, again = [(await client.post(path, headers=headers)).json()["secret"] for _ in range(2)]
    assert first == again == signing_secret(WEBHOOK_SIGNING_KEY, UUID(created["id"]), 2)


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"attempts": 1, "last_status": 500, "last_error": "status"}, "PENDING"),
        ({"delivered_at": datetime.now(UTC)}, "DELIVERED"),
        ({"gave_up_at": datetime.now(UTC), "attempts": 10}, "GIVEN_UP"),
    ],
)
async def test_messages_are_listed_by_state(client: httpx.AsyncClient, world: World, values: JSON, status: str) -> None:
    created = await create(client, world)
    await happen(world)
    await set_delivery(world, **values)
    for wanted in ("PENDING", "DELIVERED", "GIVEN_UP"):
        found = await messages(client, world, created["id"], status=wanted)
        assert [each["status"] for each in found] == ([status] if wanted == status else [])


@pytest.mark.parametrize(
    ("delivered", "body", "queued"),
    [
        (False, {}, 1),
        (True, {}, 0),
        (True, {"include_delivered": True}, 1),
        (False, {"until": "2020-01-01T00:00:00Z"}, 0),
    ],
)
async def test_messages_are_replayed_with_their_ids(
    client: httpx.AsyncClient, world: World, delivered: bool, body: JSON, queued: int
) -> None:
    created = await create(client, world)
    await happen(world)
    closed = {"delivered_at" if delivered else "gave_up_at": datetime.now(UTC), "attempts": 10}
    await set_delivery(world, **closed)
    (before,) = await messages(client, world, created["id"])
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    path = f"/v1/webhooks/{created['id']}/replay"
    answer = await client.post(path, json={"from": since} | body, headers=world.operator.headers)
    assert answer.json() == {"queued": queued}
    (after,) = await messages(client, world, created["id"])
    assert after["id"] == before["id"]
    assert (after["status"], after["attempts"]) == (("PENDING", 0) if queued else (before["status"], 10))


async def test_without_a_key_there_are_no_webhooks(client: httpx.AsyncClient, world: World, app: FastAPI) -> None:
    before = app.state.settings.webhooks
    object.__setattr__(app.state.settings, "webhooks", WebhookSettings.model_validate({}))
    try:
        answer = await client.post("/v1/webhooks", json=NEW, headers=world.operator.headers)
    finally:
        object.__setattr__(app.state.settings, "webhooks", before)
    assert problem(answer) == (404, "webhooks-not-set-up")
