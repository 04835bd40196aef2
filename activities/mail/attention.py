"""The operators' digest: one mail about all that has waited too long, for those who have no alerts.

At most one mail an hour, and only if something new waits; once a day otherwise. It is a row of the outbox, like any
other mail. Its id is derived from the digest before it, so of several workers one inserts it.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database.transactions import DatabaseError, transaction
from activities.mail.content import MailContent, MailDiscarded
from models import attention
from models.domain.attention import PATIENCE
from models.domain.ids import digest_id
from models.domain.notifications import NotificationKind
from models.domain.zones import zone
from models.languages import language
from models.session_calendar import Party
from models.tables.outbox import OutboxMessage
from models.tables.reconciliation import Drift

PAUSE = timedelta(hours=1)
"""Between two digests."""
REPEAT = timedelta(days=1)
"""After which a digest repeats what still waits."""
_LOOK_EVERY_SECONDS = 60.0

log = logging.getLogger("holdfast.mail")


class _Case(NamedTuple):
    kind: str
    since: datetime
    subject: str
    """The id of a booking or a drift."""


class OperatorDigest:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look every minute until the block ends."""
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.wait([looking])

    async def _look(self) -> None:
        while True:
            try:
                await self.enqueue_if_due(datetime.now(UTC))
            except DatabaseError as error:
                log.warning("What waits for operators cannot be read: %s", error)
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def enqueue_if_due(self, now: datetime) -> None:
        """Raises `DatabaseError`."""
        async with transaction(self._engine) as session:
            latest = await _latest(session)
            if latest is not None and now - latest.created_at < PAUSE:
                return
            cases = [case for case in await _cases(session) if case.since <= now - PATIENCE]
            if not cases or (latest is not None and not _is_worth_another(latest, cases, now)):
                return
            message = OutboxMessage(
                id=digest_id(latest.id if latest else None),
                kind=NotificationKind.OPERATOR_DIGEST,
                facts=_facts(cases),
                due_at=now,
                next_attempt_at=now,
                created_at=now,
            )
            await session.exec(insert(OutboxMessage).values(message.model_dump()).on_conflict_do_nothing())


async def _latest(session: AsyncSession) -> OutboxMessage | None:
    digests = select(OutboxMessage).where(col(OutboxMessage.kind) == NotificationKind.OPERATOR_DIGEST)
    return (await session.exec(digests.order_by(col(OutboxMessage.created_at).desc()).limit(1))).first()


async def _cases(session: AsyncSession) -> list[_Case]:
    drifts = select(Drift).where(col(Drift.resolved_at).is_(None), col(Drift.booking_id).is_(None))
    return [
        *(_Case(each.kind, each.since, str(each.booking_id)) for each in await attention.waiting(session)),
        # Those of a booking are its reason for attention, or behind another one.
        *(_Case(f"drift ({each.kind})", each.found_at, str(each.id)) for each in await session.exec(drifts)),
    ]


def _is_worth_another(latest: OutboxMessage, cases: list[_Case], now: datetime) -> bool:
    has_new = any(case.since + PATIENCE > latest.created_at for case in cases)
    return has_new or now - latest.created_at >= REPEAT


def _facts(cases: list[_Case]) -> dict[str, object]:
    """By kind, with the case that has waited longest: ids and times only."""
    by_kind = defaultdict[str, list[_Case]](list)
    for case in sorted(cases, key=lambda case: case.since):
        by_kind[case.kind].append(case)
    return {
        "cases": len(cases),
        "kinds": [
            {"kind": kind, "count": len(of_kind), "since": of_kind[0].since.isoformat(), "oldest": of_kind[0].subject}
            for kind, of_kind in by_kind.items()
        ],
    }


def about_attention(message: OutboxMessage, address: str | None) -> MailContent:
    """The content of the digest for the operators' address."""
    if address is None:
        raise MailDiscarded("no_recipient")
    reads, utc = language("en"), zone("UTC")
    kinds: list[dict[str, Any]] = message.facts["kinds"]
    since = {each["kind"]: reads.time(datetime.fromisoformat(each["since"]), utc) for each in kinds}
    return MailContent(
        notification=message.kind,
        language=reads,
        reader=Party("", address),
        variables={
            "cases": message.facts["cases"],
            "minutes": PATIENCE // timedelta(minutes=1),
            "since": since[kinds[0]["kind"]],
        },
        details=[
            (each["kind"], f"{each['count']}; the oldest is {each['oldest']}, since {since[each['kind']]}")
            for each in kinds
        ],
        links=[],
        appointment=None,
    )
