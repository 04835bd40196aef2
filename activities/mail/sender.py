"""Sends what is in the outbox. Any number of workers may do so at the same time.

A message is taken with a lease, in a transaction of its own, so that none is open while a mail server is spoken to. One
whose sender dies is taken by another when the lease is over; if the mail server had it already, it gets it again under
the same Message-ID.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from activities.database.transactions import DatabaseError, transaction
from activities.mail import notifications
from activities.mail.composing import compose
from activities.mail.notifications import Void
from activities.mail.smtp import NotNow, Refused
from models.documents.issuer import Issuer
from models.session_calendar import Party
from models.tables.outbox import OutboxMessage

AT_ONCE = 10
LEASE = timedelta(minutes=5)
"""Longer than any conversation with a mail server can take."""
_LOOK_EVERY_SECONDS = 1.0
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=10)
_KEEP_TRYING = timedelta(days=5)
"""With a server that answers, but not now (RFC 5321, 4.5.4.1). One that does not answer is waited for however long."""

log = logging.getLogger("holdfast.mail")


class Post(Protocol):
    async def send(self, mail: EmailMessage) -> None:
        """Raises `NotNow` or `Refused`."""


class MailSender:
    def __init__(self, engine: AsyncEngine, post: Post, sender: Party, public_url: str, issuer: Issuer) -> None:
        self._engine = engine
        self._post = post
        self._sender = sender
        self._public_url = public_url
        self._issuer = issuer

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Sends in the background until the block ends, and lets the mails that are under way get through."""
        stop = asyncio.Event()
        sending = asyncio.create_task(self._send_until(stop))
        try:
            yield
        finally:
            stop.set()
            await sending

    async def send_due(self, now: datetime) -> int:
        """Send up to `AT_ONCE` mails that are due; how many were taken up. Raises `DatabaseError`."""
        taken = await self._take(now)
        await asyncio.gather(*(self._deliver(message, now) for message in taken))
        return len(taken)

    async def _send_until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                if await self.send_due(datetime.now(UTC)) == AT_ONCE:
                    continue
            except DatabaseError as error:
                log.warning("The outbox cannot be read or written: %s", error)
            try:
                async with asyncio.timeout(_LOOK_EVERY_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _take(self, now: datetime) -> Sequence[OutboxMessage]:
        """The longest due first. `SKIP LOCKED`: what another sender is just taking is left to it."""
        is_open = (col(OutboxMessage.sent_at).is_(None), col(OutboxMessage.gave_up_at).is_(None))
        due = (
            select(OutboxMessage.id)
            .where(*is_open, col(OutboxMessage.next_attempt_at) <= now)
            .order_by(col(OutboxMessage.next_attempt_at))
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        take = (
            update(OutboxMessage)
            .where(col(OutboxMessage.id).in_(due))
            .values(next_attempt_at=now + LEASE, attempts=col(OutboxMessage.attempts) + 1)
            .returning(OutboxMessage)
        )
        async with transaction(self._engine) as session:
            return (await session.exec(take)).scalars().all()

    async def _deliver(self, message: OutboxMessage, now: datetime) -> None:
        try:
            async with transaction(self._engine) as session:
                letter = await notifications.read(session, message, self._public_url, now)
            # Not in the event loop, which the worker's other work shares.
            mail = await asyncio.to_thread(compose, letter, message.id, message.due_at, self._sender, self._issuer)
            await self._post.send(mail)
        except (Void, Refused) as final:
            log.warning("Mail %s (%s) is given up: %s", message.id, message.kind, final)
            await self._mark(message.id, gave_up_at=now, last_error=str(final))
        except NotNow as failure:
            await self._put_off(message, now, str(failure), may_end=str(failure).isdigit())
        except Exception as failure:
            # Without its words, which may be a person's.
            await self._put_off(message, now, type(failure).__name__, may_end=False)
        else:
            await self._mark(message.id, sent_at=now, last_error=None)

    async def _put_off(self, message: OutboxMessage, now: datetime, code: str, *, may_end: bool) -> None:
        if may_end and now - message.due_at > _KEEP_TRYING:
            log.warning("Mail %s (%s) is given up after %s: %s", message.id, message.kind, _KEEP_TRYING, code)
            await self._mark(message.id, gave_up_at=now, last_error=code)
            return
        pause = min(_FIRST_PAUSE * 2 ** min(message.attempts - 1, 10), _LONGEST_PAUSE)
        log.warning("Mail %s (%s) waits %s: %s", message.id, message.kind, pause, code)
        await self._mark(message.id, next_attempt_at=now + pause, last_error=code)

    async def _mark(self, id: UUID, **values: Any) -> None:
        try:
            async with transaction(self._engine) as session:
                await session.exec(update(OutboxMessage).where(col(OutboxMessage.id) == id).values(**values))
        except DatabaseError as error:
            log.warning("What became of mail %s is not written down, it comes again: %s", id, error)
