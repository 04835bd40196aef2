"""Delivers webhook messages. Any number of workers can do so concurrently.

A message is leased for longer than a delivery can take, so a lease is never renewed: if its sender dies, another one
takes over when it ends, and the receiver may get the message twice, with the same `webhook-id`.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession
from standardwebhooks import Webhook

from activities.database.transactions import DatabaseError, transaction
from activities.webhooks.transport import TIMEOUT_SECONDS, NotDelivered, PublicTransport
from models.domain.actors import PLATFORM, Subject
from models.domain.messages import Channel
from models.domain.webhooks import EVENT_OF, SECRET_OVERLAP, key_named, next_attempt, payload, signing_secret
from models.tables.audit import AuditEvent, event_about
from models.tables.webhooks import WebhookDelivery, WebhookEndpoint

BATCH_SIZE = 20
_LEASE = timedelta(seconds=2 * TIMEOUT_SECONDS)
_REST = timedelta(seconds=30)
"""How long other messages to an endpoint wait after one without an answer, so that it does not hold up the rest."""
_KEPT = timedelta(days=30)
_POLL_INTERVAL_SECONDS = 1.0
_CLEANING_INTERVAL = timedelta(hours=1)
_GONE = 410

log = logging.getLogger("holdfast.webhooks")


@dataclass(frozen=True)
class Message:
    delivery: WebhookDelivery
    endpoint: WebhookEndpoint
    event: AuditEvent


class WebhookSender:
    def __init__(self, engine: AsyncEngine, transport: PublicTransport, keys: Sequence[str]) -> None:
        self._engine = engine
        self._transport = transport
        self._keys = keys
        self._clean_at = datetime.min.replace(tzinfo=UTC)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver in the background until the block ends, and finish the messages in progress."""
        stop = asyncio.Event()
        delivering = asyncio.create_task(self._deliver_until(stop))
        try:
            yield
        finally:
            stop.set()
            await delivering
            await self._transport.close()

    async def deliver_due(self, now: datetime) -> int:
        """Attempt up to `BATCH_SIZE` due messages. Returns the number attempted. Raises `DatabaseError`."""
        messages = await self._lease(now)
        await asyncio.gather(*(self._deliver(message, now) for message in messages))
        return len(messages)

    async def delete_old(self, now: datetime) -> None:
        """Delete what was delivered or given up a month ago. Raises `DatabaseError`."""
        is_closed = or_(col(WebhookDelivery.delivered_at).is_not(None), col(WebhookDelivery.gave_up_at).is_not(None))
        endpoints = select(WebhookEndpoint.id)
        old = delete(WebhookDelivery).where(
            col(WebhookDelivery.endpoint_id).in_(endpoints), col(WebhookDelivery.created_at) < now - _KEPT, is_closed
        )
        async with transaction(self._engine) as session:
            await session.exec(old)

    async def _deliver_until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            now = datetime.now(UTC)
            try:
                if now >= self._clean_at:
                    await self.delete_old(now)
                    self._clean_at = now + _CLEANING_INTERVAL
                if await self.deliver_due(now):
                    continue
            except DatabaseError as error:
                log.warning("Webhooks cannot be read or written: %s", error)
            try:
                async with asyncio.timeout(_POLL_INTERVAL_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _lease(self, now: datetime) -> list[Message]:
        """Lease the messages that have been due longest. `SKIP LOCKED` leaves those that another sender is leasing."""
        is_open = (col(WebhookDelivery.delivered_at).is_(None), col(WebhookDelivery.gave_up_at).is_(None))
        due = (
            select(WebhookDelivery.id)
            .where(*is_open, col(WebhookDelivery.next_attempt_at) <= now)
            .order_by(col(WebhookDelivery.next_attempt_at))
            .limit(BATCH_SIZE)
            .with_for_update(skip_locked=True)
            # As a subquery of the update it could run once per row, and each time lock other messages.
            .cte("due")
        )
        lease = (
            update(WebhookDelivery)
            .where(col(WebhookDelivery.id) == due.c.id)
            .values(next_attempt_at=now + _LEASE, attempts=col(WebhookDelivery.attempts) + 1)
            .returning(WebhookDelivery)
        )
        async with transaction(self._engine) as session:
            leased = (await session.exec(lease)).scalars().all()
            if not leased:
                return []
            endpoints = await _by_id(session, WebhookEndpoint, {each.endpoint_id for each in leased})
            events = await _by_id(session, AuditEvent, {each.event_id for each in leased})
        return [Message(each, endpoints[each.endpoint_id], events[each.event_id]) for each in leased]

    async def _deliver(self, message: Message, now: datetime) -> None:
        delivery, endpoint = message.delivery, message.endpoint
        try:
            if endpoint.disabled_at is not None:
                await self._update(delivery.id, gave_up_at=now, last_error="endpoint_disabled")
                return
            body = _body(message.event)
            status = await self._transport.send(endpoint.url, self._headers(message, body, now), body)
        except NotDelivered as failure:
            await self._retry_later(delivery, now, last_status=None, last_error=str(failure))
            await self._let_rest(endpoint, now)
        except Exception as failure:
            log.exception("Webhook %s is not delivered", delivery.id)
            await self._retry_later(delivery, now, last_status=None, last_error=type(failure).__name__)
        else:
            await self._record_answer(message, status, now)

    async def _record_answer(self, message: Message, status: int, now: datetime) -> None:
        delivery = message.delivery
        if 200 <= status < 300:
            await self._update(delivery.id, delivered_at=now, last_status=status, last_error=None)
        elif status == _GONE:
            await self._update(delivery.id, gave_up_at=now, last_status=status, last_error="gone")
            await self._disable(message.endpoint, now)
        else:
            code = "redirect" if 300 <= status < 400 else "status"
            await self._retry_later(delivery, now, last_status=status, last_error=code)

    def _headers(self, message: Message, body: bytes, now: datetime) -> dict[str, str]:
        id, at = str(message.delivery.id), now.replace(microsecond=0)
        signatures = (
            Webhook(secret).sign(id, at, body.decode()) for secret in _secrets(message.endpoint, self._keys, now)
        )
        return {
            "content-type": "application/json",
            "user-agent": "Holdfast",
            "webhook-id": id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    async def _retry_later(self, delivery: WebhookDelivery, now: datetime, **outcome: Any) -> None:
        again_at = next_attempt(delivery.attempts, now)
        log.warning("Webhook %s: %s, next attempt %s", delivery.id, outcome["last_error"], again_at or "never")
        later = {"next_attempt_at": again_at} if again_at else {"gave_up_at": now}
        await self._update(delivery.id, **outcome, **later)

    async def _let_rest(self, endpoint: WebhookEndpoint, now: datetime) -> None:
        due = (
            col(WebhookDelivery.endpoint_id) == endpoint.id,
            col(WebhookDelivery.delivered_at).is_(None),
            col(WebhookDelivery.gave_up_at).is_(None),
            col(WebhookDelivery.next_attempt_at) <= now,
        )
        await self._execute(update(WebhookDelivery).where(*due).values(next_attempt_at=now + _REST))

    async def _disable(self, endpoint: WebhookEndpoint, now: datetime) -> None:
        values = {"disabled_at": now, "disabled_reason": "gone", "updated_at": now}
        is_enabled = (col(WebhookEndpoint.id) == endpoint.id, col(WebhookEndpoint.disabled_at).is_(None))
        try:
            async with transaction(self._engine) as session:
                if (await session.exec(update(WebhookEndpoint).where(*is_enabled).values(values))).rowcount:
                    event = event_about(
                        Subject.WEBHOOK, endpoint.id, "webhook.disabled", PLATFORM, Channel.WORKFLOW, now,
                        {"reason": "gone"}, occasion=now.isoformat(),
                    )  # fmt: skip
                    session.add(event)
        except DatabaseError as error:
            log.warning("Webhook endpoint %s is not disabled: %s", endpoint.id, error)

    async def _update(self, id: UUID, **values: Any) -> None:
        await self._execute(update(WebhookDelivery).where(col(WebhookDelivery.id) == id).values(**values))

    async def _execute(self, statement: Any) -> None:
        try:
            async with transaction(self._engine) as session:
                await session.exec(statement)
        except DatabaseError as error:
            log.warning("What became of a webhook is not written down, it comes again: %s", error)


async def _by_id(session: AsyncSession, table: type[Any], ids: set[UUID]) -> dict[UUID, Any]:
    return {row.id: row for row in await session.exec(select(table).where(col(table.id).in_(ids)))}


def _body(event: AuditEvent) -> bytes:
    kind = EVENT_OF[event.action]
    return json.dumps(
        payload(kind, event.at, event.booking_id, event.subject_id, event.actor_role, event.detail)
    ).encode()


def _secrets(endpoint: WebhookEndpoint, keys: Sequence[str], now: datetime) -> list[str]:
    """The current secret, and the previous one for a while after a change. Raises `LookupError` without the key."""
    key = key_named(keys, endpoint.key_id)
    if key is None:
        raise LookupError("no key of HOLDFAST_WEBHOOK_KEY is this endpoint's")
    versions = [endpoint.secret_version]
    if endpoint.secret_version > 1 and now < endpoint.secret_changed_at + SECRET_OVERLAP:
        versions.append(endpoint.secret_version - 1)
    return [signing_secret(key, endpoint.id, version) for version in versions]
