"""Sends the mails in the outbox. Any number of workers can do so concurrently.

A message is leased in a separate transaction, so that no transaction is open during the SMTP session. The lease is
short, and its sender renews it until the outcome is recorded. If the sender dies, another one sends the message seconds
later; a mail server that had accepted it before receives it again with the same Message-ID.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any, Final, Protocol
from uuid import UUID

from opentelemetry import trace
from sqlalchemy import bindparam, exists, tuple_, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningUpdate
from sqlmodel import col, select

from activities.database.transactions import DatabaseError, transaction
from activities.mail import notifications
from activities.mail.composing import compose
from activities.mail.content import MailDiscarded
from activities.mail.smtp import PermanentFailure, TemporaryFailure
from models.documents.issuer import Issuer
from models.session_calendar import Party
from models.tables.columns import table_of
from models.tables.outbox import OutboxMessage
from models.traces import continued

BATCH_SIZE = 10
LEASE = timedelta(seconds=15)
"""How long a message waits after its sender has died."""
RENEWAL_SECONDS = 3.0
"""Several renewals fit into a lease, so that a slow database or a busy event loop does not end it."""
_POLL_INTERVAL_SECONDS = 1.0
_INITIAL_BACKOFF = timedelta(seconds=5)
_MAX_BACKOFF = timedelta(minutes=10)
_RETRY_FOR = timedelta(days=5)
"""If the server replies with temporary failures (RFC 5321, 4.5.4.1). An unreachable server is retried forever."""

log = logging.getLogger("holdfast.mail")


def _lease_statement() -> ReturningUpdate[OutboxMessage]:
    """`SKIP LOCKED` leaves the messages that another sender is leasing.

    A person's mails about a booking are sent one after the other: each waits for the earlier ones.
    """
    earlier = aliased(OutboxMessage)
    has_earlier = exists().where(
        col(earlier.booking_id) == col(OutboxMessage.booking_id),
        col(earlier.recipient_id) == col(OutboxMessage.recipient_id),
        col(earlier.sent_at).is_(None),
        col(earlier.gave_up_at).is_(None),
        tuple_(col(earlier.due_at), col(earlier.created_at), col(earlier.id))
        < tuple_(col(OutboxMessage.due_at), col(OutboxMessage.created_at), col(OutboxMessage.id)),
    )
    is_pending = (col(OutboxMessage.sent_at).is_(None), col(OutboxMessage.gave_up_at).is_(None))
    due = (
        select(OutboxMessage.id)
        .where(*is_pending, col(OutboxMessage.next_attempt_at) <= bindparam("now"), ~has_earlier)
        .order_by(col(OutboxMessage.next_attempt_at))
        .limit(BATCH_SIZE)
        .with_for_update(skip_locked=True)
        # As a subquery of the update it could run once per row, and each time lock other messages.
        .cte("due")
    )
    return (
        update(OutboxMessage)
        .where(col(OutboxMessage.id) == due.c.id)
        .values(next_attempt_at=bindparam("until"), attempts=col(OutboxMessage.attempts) + 1)
        .returning(OutboxMessage)
        # The session has no other objects that the update could concern.
        .execution_options(synchronize_session=False)
    )


_TABLE: Final = table_of(OutboxMessage)
_LEASE: Final = _lease_statement()
"""Built once: that takes longer than to run it, which every worker does each second."""


class MailTransport(Protocol):
    async def send(self, mail: EmailMessage) -> None:
        """Raises `TemporaryFailure` or `PermanentFailure`."""


class MailSender:
    def __init__(
        self,
        engine: AsyncEngine,
        transport: MailTransport,
        sender: Party,
        public_url: str,
        issuer: Issuer,
        operators: str | None = None,
        *,
        has_pages: bool = False,
    ) -> None:
        """`operators` is the address that their digest is sent to. With pages, each booking has one to link to."""
        self._engine = engine
        self._transport = transport
        self._sender = sender
        self._public_url = public_url
        self._issuer = issuer
        self._operators = operators
        self._has_pages = has_pages

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send in the background until the block ends, and finish the mails in progress."""
        stop = asyncio.Event()
        sending = asyncio.create_task(self._send_until(stop))
        try:
            yield
        finally:
            stop.set()
            await sending

    async def send_due(self, now: datetime) -> int:
        """Attempt up to `BATCH_SIZE` due mails. Returns the number attempted. Raises `DatabaseError`."""
        messages = await self._lease(now)
        async with self._renewing([message.id for message in messages], now):
            await asyncio.gather(*(self._deliver(message, now) for message in messages))
        return len(messages)

    async def _send_until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                if await self.send_due(datetime.now(UTC)):
                    continue
            except DatabaseError as error:
                log.warning("The outbox cannot be read or written: %s", error)
            try:
                async with asyncio.timeout(_POLL_INTERVAL_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _lease(self, now: datetime) -> Sequence[OutboxMessage]:
        """Lease the messages that have been due longest."""
        async with transaction(self._engine) as session:
            return (await session.exec(_LEASE, params={"now": now, "until": now + LEASE})).scalars().all()

    @asynccontextmanager
    async def _renewing(self, ids: Sequence[UUID], now: datetime) -> AsyncIterator[None]:
        """Renew the leases of these messages until the block ends, except of those that are sent or retried later."""
        renewing = asyncio.create_task(self._renew(ids, now))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])

    async def _renew(self, ids: Sequence[UUID], now: datetime) -> None:
        started, until = time.monotonic(), now + LEASE
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            renewed = now + timedelta(seconds=time.monotonic() - started) + LEASE
            # A message with another time is retried later, or another sender has taken it over.
            is_leased = (col(OutboxMessage.next_attempt_at) == until, col(OutboxMessage.sent_at).is_(None))
            renewal = update(OutboxMessage).where(col(OutboxMessage.id).in_(ids), *is_leased)
            try:
                async with transaction(self._engine) as session:
                    await session.exec(renewal.values(next_attempt_at=renewed))
                until = renewed
            except DatabaseError as error:
                log.warning("The leases of %d mails are not renewed: %s", len(ids), error)

    async def _deliver(self, message: OutboxMessage, now: datetime) -> None:
        with continued(f"SendMail:{message.kind}", message.traceparent) as span:
            span.set_attribute("mail.id", str(message.id))
            await self._attempt(message, now)

    async def _attempt(self, message: OutboxMessage, now: datetime) -> None:
        try:
            async with transaction(self._engine) as session:
                # One snapshot, so that text and calendar file are of the same moment.
                await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                content = await notifications.load(
                    session, message, self._public_url, now, self._operators, has_pages=self._has_pages
                )
            # In a thread: the event loop also runs the rest of the worker.
            mail = await asyncio.to_thread(compose, content, message.id, message.due_at, self._sender, self._issuer)
            await self._transport.send(mail)
        except (MailDiscarded, PermanentFailure) as failure:
            log.warning("Mail %s (%s) is given up: %s", message.id, message.kind, failure)
            await self._update(message.id, gave_up_at=now, last_error=str(failure))
        except TemporaryFailure as failure:
            # Only a server that was reached has replied with a code.
            await self._retry_later(message, now, str(failure), can_give_up=str(failure).isdigit())
        except Exception as failure:
            # Without the error's message, which may contain personal data.
            await self._retry_later(message, now, type(failure).__name__, can_give_up=False)
        else:
            await self._update(message.id, sent_at=now, last_error=None)

    async def _retry_later(self, message: OutboxMessage, now: datetime, code: str, *, can_give_up: bool) -> None:
        if can_give_up and now - message.due_at > _RETRY_FOR:
            log.warning("Mail %s (%s) is given up after %s: %s", message.id, message.kind, _RETRY_FOR, code)
            await self._update(message.id, gave_up_at=now, last_error=code)
            return
        backoff = min(_INITIAL_BACKOFF * 2 ** min(message.attempts - 1, 10), _MAX_BACKOFF)
        log.warning("Mail %s (%s) waits %s: %s", message.id, message.kind, backoff, code)
        await self._update(message.id, next_attempt_at=now + backoff, last_error=code)

    async def _update(self, id: UUID, **values: Any) -> None:
        if error := values.get("last_error"):
            trace.get_current_span().set_attribute("error.type", error)
        try:
            async with transaction(self._engine) as session:
                await session.exec(update(_TABLE).where(_TABLE.c.id == id).values(**values))
        except DatabaseError as error:
            log.warning("What became of mail %s is not written down, it comes again: %s", id, error)
