"""Webhook messages: queued with the audit event, signed, tried again, given up, and replaced by no other."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from standardwebhooks import Webhook, WebhookVerificationError

from activities.webhooks.sender import WebhookSender
from activities.webhooks.transport import PublicTransport
from models.domain.actors import PLATFORM, Subject
from models.domain.messages import Channel
from models.domain.webhooks import ACTION_OF, WebhookEvent, key_id, signing_secret
from models.tables.audit import AuditEvent, event_about
from models.tables.webhooks import WebhookDelivery, WebhookEndpoint
from tests.activities.webhooks.receiver import Receiver, receiving

KEY = "tests derive the secrets of webhooks from this key"
DAY = timedelta(days=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@dataclass
class Outgoing:
    """Endpoints and events as rows, and a sender with a clock of its own."""

    engine: AsyncEngine
    sender: WebhookSender

    async def endpoint(self, url: str, *events: WebhookEvent, **fields: Any) -> WebhookEndpoint:
        wanted = events or (WebhookEvent.BOOKING_ACCEPTED,)
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            "id": uuid4(),
            "url": url,
            "events": [event.value for event in wanted],
            "actions": [ACTION_OF[event] for event in wanted],
            "key_id": key_id(KEY),
            "secret_changed_at": now,
            "created_by": uuid4(),
            "created_at": now,
            "updated_at": now,
        }
        row = WebhookEndpoint(**values | fields)
        await self._add(row)
        return row

    async def happen(self, action: str = "booking.accepted", subject: Subject = Subject.BOOKING) -> AuditEvent:
        now = datetime.now(UTC)
        detail = {"kept_minor": 10_000}
        event = event_about(subject, uuid4(), action, PLATFORM, Channel.WORKFLOW, now, detail)
        await self._add(event)
        return event

    async def deliveries(self) -> list[WebhookDelivery]:
        async with AsyncSession(self.engine) as session:
            return list(await session.exec(select(WebhookDelivery).order_by(col(WebhookDelivery.created_at))))

    async def delivery(self) -> WebhookDelivery:
        (only,) = await self.deliveries()
        return only

    async def _add(self, row: SQLModel) -> None:
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            session.add(row)


@pytest.fixture
async def outgoing(engine: AsyncEngine) -> AsyncIterator[Outgoing]:
    transport = PublicTransport(allow_private=True)
    yield Outgoing(engine, WebhookSender(engine, transport, [KEY]))
    await transport.close()


def now() -> datetime:
    return datetime.now(UTC)


async def test_receiver_verifies_a_message(outgoing: Outgoing, receiver: Receiver) -> None:
    endpoint = await outgoing.endpoint(receiver.url)
    event = await outgoing.happen()
    assert await outgoing.sender.deliver_due(now()) == 1
    ((headers, body),) = receiver.received
    message = Webhook(signing_secret(KEY, endpoint.id, 1)).verify(body, headers)
    assert message["type"] == "booking.accepted"
    assert message["data"] == {"booking_id": str(event.booking_id), "by": "platform", "kept_minor": 10_000}
    assert headers["content-type"] == "application/json"
    delivery = await outgoing.delivery()
    assert (str(delivery.id), delivery.attempts, delivery.last_status) == (headers["webhook-id"], 1, 204)
    assert delivery.delivered_at is not None
    assert await outgoing.sender.deliver_due(now() + DAY) == 0


async def test_another_secret_does_not_verify(outgoing: Outgoing, receiver: Receiver) -> None:
    await outgoing.endpoint(receiver.url)
    await outgoing.happen()
    await outgoing.sender.deliver_due(now())
    ((headers, body),) = receiver.received
    with pytest.raises(WebhookVerificationError):
        Webhook(signing_secret(KEY, uuid4(), 1)).verify(body, headers)


@pytest.mark.parametrize(("since", "verifies"), [(timedelta(hours=23), True), (timedelta(hours=25), False)])
async def test_previous_secret_verifies_for_a_day(
    outgoing: Outgoing, receiver: Receiver, since: timedelta, verifies: bool
) -> None:
    endpoint = await outgoing.endpoint(receiver.url, secret_version=2, secret_changed_at=now() - since)
    await outgoing.happen()
    await outgoing.sender.deliver_due(now())
    ((headers, body),) = receiver.received
    Webhook(signing_secret(KEY, endpoint.id, 2)).verify(body, headers)
    assert (len(headers["webhook-signature"].split()) == 2) is verifies
    if verifies:
        Webhook(signing_secret(KEY, endpoint.id, 1)).verify(body, headers)


async def test_only_subscribed_events_of_enabled_endpoints_are_queued(outgoing: Outgoing, receiver: Receiver) -> None:
    accepted = await outgoing.endpoint(receiver.url)
    await outgoing.endpoint(receiver.url, WebhookEvent.PAYOUT_PAID)
    await outgoing.endpoint(receiver.url, disabled_at=now())
    await outgoing.happen("booking.accepted")
    await outgoing.happen("booking.settlement_reason_kept")
    assert [each.endpoint_id for each in await outgoing.deliveries()] == [accepted.id]


async def test_payout_names_its_instructor(outgoing: Outgoing, receiver: Receiver) -> None:
    await outgoing.endpoint(receiver.url, WebhookEvent.PAYOUT_PAID)
    event = await outgoing.happen("instructor.payout_paid", Subject.INSTRUCTOR)
    await outgoing.sender.deliver_due(now())
    ((_, body),) = receiver.received
    assert json.loads(body)["type"] == "payout.paid"
    assert json.loads(body)["data"]["instructor_id"] == str(event.subject_id)


async def test_message_is_queued_in_the_transaction_of_its_event(outgoing: Outgoing, receiver: Receiver) -> None:
    await outgoing.endpoint(receiver.url)
    event = event_about(Subject.BOOKING, uuid4(), "booking.accepted", PLATFORM, Channel.WORKFLOW, now())
    async with AsyncSession(outgoing.engine) as session:
        session.add(event)
        await session.flush()
        assert len((await session.exec(select(WebhookDelivery))).all()) == 1
        await session.rollback()
    assert await outgoing.deliveries() == []


@pytest.mark.parametrize(("status", "code"), [(500, "status"), (404, "status"), (302, "redirect")])
async def test_failed_message_is_sent_again_with_the_same_id_and_body(
    outgoing: Outgoing, receiver: Receiver, status: int, code: str
) -> None:
    await outgoing.endpoint(receiver.url)
    await outgoing.happen()
    receiver.statuses = [status]
    await outgoing.sender.deliver_due(now())
    delivery = await outgoing.delivery()
    assert (delivery.last_status, delivery.last_error, delivery.delivered_at) == (status, code, None)
    assert await outgoing.sender.deliver_due(now()) == 0
    assert await outgoing.sender.deliver_due(now() + timedelta(seconds=6)) == 1
    first, second = receiver.received
    assert (first[0]["webhook-id"], first[1]) == (second[0]["webhook-id"], second[1])
    assert (await outgoing.delivery()).delivered_at is not None


async def test_message_is_given_up_after_ten_attempts(outgoing: Outgoing, receiver: Receiver) -> None:
    await outgoing.endpoint(receiver.url)
    await outgoing.happen()
    receiver.statuses = [503] * 20
    at = now()
    for _ in range(12):
        await outgoing.sender.deliver_due(at)
        at += DAY
    delivery = await outgoing.delivery()
    assert (len(receiver.received), delivery.attempts) == (10, 10)
    assert delivery.gave_up_at is not None


async def test_endpoint_that_is_gone_is_disabled(outgoing: Outgoing, receiver: Receiver) -> None:
    endpoint = await outgoing.endpoint(receiver.url)
    await outgoing.happen()
    await outgoing.happen()
    receiver.statuses = [410, 410]
    await outgoing.sender.deliver_due(now())
    async with AsyncSession(outgoing.engine) as session:
        row = await session.get_one(WebhookEndpoint, endpoint.id)
        audited = (await session.exec(select(AuditEvent.action).where(col(AuditEvent.subject_id) == endpoint.id))).all()
    assert (row.disabled_reason, audited) == ("gone", ["webhook.disabled"])
    await outgoing.happen()
    assert [each.gave_up_at is not None for each in await outgoing.deliveries()] == [True, True]


async def test_endpoint_without_an_answer_does_not_hold_up_the_others(outgoing: Outgoing, receiver: Receiver) -> None:
    silent = await outgoing.endpoint("http://127.0.0.1:9/hook")  # nothing listens on the discard port
    await outgoing.endpoint(receiver.url, WebhookEvent.BOOKING_REJECTED)
    for _ in range(25):
        await outgoing.happen()
    await outgoing.happen("booking.rejected")
    at = now()
    assert await outgoing.sender.deliver_due(at) == 20
    assert await outgoing.sender.deliver_due(at) == 1
    assert len(receiver.received) == 1
    failed = [each for each in await outgoing.deliveries() if each.endpoint_id == silent.id]
    assert {each.last_error for each in failed} == {"connection_failed", None}


async def test_two_senders_do_not_send_the_same_message(outgoing: Outgoing, receiver: Receiver) -> None:
    await outgoing.endpoint(receiver.url)
    for _ in range(3):
        await outgoing.happen()
    at = now()
    leased = [await outgoing.sender._lease(at), await outgoing.sender._lease(at)]
    assert [len(each) for each in leased] == [3, 0]


async def test_message_without_its_key_is_not_sent(outgoing: Outgoing, receiver: Receiver) -> None:
    await outgoing.endpoint(receiver.url, key_id="another")
    await outgoing.happen()
    await outgoing.sender.deliver_due(now())
    assert (receiver.received, (await outgoing.delivery()).last_error) == ([], "LookupError")


async def test_old_messages_are_deleted(outgoing: Outgoing, receiver: Receiver) -> None:
    await outgoing.endpoint(receiver.url)
    await outgoing.happen()
    await outgoing.sender.delete_old(now() + 31 * DAY)
    assert len(await outgoing.deliveries()) == 1  # still open
    await outgoing.sender.deliver_due(now())
    await outgoing.sender.delete_old(now() + 29 * DAY)
    assert len(await outgoing.deliveries()) == 1
    await outgoing.sender.delete_old(now() + 31 * DAY)
    assert await outgoing.deliveries() == []


async def test_sender_delivers_in_the_background(outgoing: Outgoing, receiver: Receiver) -> None:
    await outgoing.endpoint(receiver.url)
    await outgoing.happen()
    async with outgoing.sender.running(), asyncio.timeout(10):
        while not receiver.received:  # noqa: ASYNC110 - the receiver is in another thread
            await asyncio.sleep(0.02)
    assert len(receiver.received) == 1
