"""The operators' digest: one mail about what has waited too long."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

from sqlmodel import col, select

from activities.database.transactions import transaction
from activities.mail.attention import PAUSE, REPEAT, OperatorDigest
from activities.mail.sender import MailSender
from activities.mail.smtp import SmtpTransport
from models.domain.actors import Role
from models.domain.attention import PATIENCE
from models.domain.notifications import NotificationKind
from models.domain.reconciliation import Book, DriftKind
from models.domain.terms import BookingTerms
from models.tables.bookings import BookingRequest
from models.tables.outbox import OutboxMessage
from models.tables.reconciliation import Drift, Reconciliation
from tests.activities.bookings import NOW, STARTS_AT, Bookings, reserve
from tests.activities.mail.conftest import ISSUER, PUBLIC_URL, SENDER
from tests.mailbox import MailServer

OPERATORS = "operators@holdfast.example"
LOST, DECLINED = "the hold is gone", "settle_payment: declined: charge_expired_for_capture (request none)"


async def _call_attention(bookings: Bookings, reason: str, at: datetime, day: int = 0) -> BookingTerms:
    terms = await bookings.terms(STARTS_AT + timedelta(days=day))
    assert await bookings.records.reserve_slot(reserve(terms))
    async with transaction(bookings.engine) as session:
        (await session.get_one(BookingRequest, terms.booking_id)).call_attention(reason, at)
    return terms


async def _digests(bookings: Bookings) -> list[OutboxMessage]:
    is_digest = col(OutboxMessage.kind) == NotificationKind.OPERATOR_DIGEST
    async with transaction(bookings.engine) as session:
        digests = await session.exec(select(OutboxMessage).where(is_digest).order_by(col(OutboxMessage.created_at)))
        return list(digests)


async def _enqueued(bookings: Bookings, *times: datetime) -> list[bool]:
    """Whether a digest was enqueued at each of the times."""
    enqueued = []
    for at in times:
        before = len(await _digests(bookings))
        await OperatorDigest(bookings.engine).enqueue_if_due(at)
        enqueued.append(len(await _digests(bookings)) > before)
    return enqueued


async def test_operators_are_mailed_what_has_waited_by_kind(bookings: Bookings, server: MailServer) -> None:
    oldest = await _call_attention(bookings, LOST, NOW - timedelta(hours=3))
    await _call_attention(bookings, LOST, NOW - timedelta(hours=2), day=1)
    await _call_attention(bookings, DECLINED, NOW - timedelta(hours=1), day=2)
    await _call_attention(bookings, DECLINED, NOW - timedelta(minutes=1), day=3)
    await OperatorDigest(bookings.engine).enqueue_if_due(NOW)
    transport = SmtpTransport(server.settings)
    await MailSender(bookings.engine, transport, SENDER, PUBLIC_URL, ISSUER, OPERATORS).send_due(NOW)
    [mail] = server.mails
    assert mail.recipients == (OPERATORS,)
    assert mail.header("Subject") == "3 cases need an operator"
    body = mail.body("plain") or ""
    assert "more than 15 minutes" in body
    assert f"hold-lost: 2; the oldest is {oldest.booking_id}, since " in body
    assert "capture-failed: 1; " in body


async def test_what_waits_for_less_than_the_operators_patience_is_no_digest(bookings: Bookings) -> None:
    assert await _enqueued(bookings, NOW) == [False]
    await _call_attention(bookings, LOST, NOW)
    assert await _enqueued(bookings, NOW, NOW + PATIENCE - timedelta(seconds=1), NOW + PATIENCE) == [False, False, True]


async def test_what_still_waits_is_repeated_once_a_day(bookings: Bookings) -> None:
    await _call_attention(bookings, LOST, NOW - PATIENCE)
    times = (NOW, NOW + PAUSE, NOW + REPEAT - timedelta(seconds=1), NOW + REPEAT)
    assert await _enqueued(bookings, *times) == [True, False, False, True]


async def test_something_new_is_sent_an_hour_later_at_the_earliest(bookings: Bookings) -> None:
    await _call_attention(bookings, LOST, NOW - PATIENCE)
    assert await _enqueued(bookings, NOW) == [True]
    for day in range(1, 4):
        await _call_attention(bookings, DECLINED, NOW, day)
    assert await _enqueued(bookings, NOW + PAUSE - timedelta(seconds=1), NOW + PAUSE) == [False, True]
    assert [digest.facts["cases"] for digest in await _digests(bookings)] == [1, 4]


async def test_what_is_decided_is_not_repeated(bookings: Bookings) -> None:
    terms = await _call_attention(bookings, LOST, NOW - PATIENCE)
    await _enqueued(bookings, NOW)
    async with transaction(bookings.engine) as session:
        (await session.get_one(BookingRequest, terms.booking_id)).end_attention(NOW)
    assert await _enqueued(bookings, NOW + REPEAT) == [False]


async def test_drift_of_an_instructor_is_in_the_digest(bookings: Bookings) -> None:
    run = Reconciliation(id=uuid4(), started_at=NOW, by_role=Role.PLATFORM, totals=[])
    drift = Drift(
        id=uuid4(),
        kind=DriftKind.BALANCE,
        instructor_id=uuid4(),
        book=Book.CONNECTED_BALANCE,
        currency="usd",
        ledger_minor=1,
        stripe_minor=2,
        reconciliation_id=run.id,
        found_at=NOW,
        seen_at=NOW,
    )
    async with transaction(bookings.engine) as session:
        session.add(run)
        await session.flush()
        session.add(drift)
    assert await _enqueued(bookings, NOW + PATIENCE) == [True]
    [digest] = await _digests(bookings)
    [kind] = digest.facts["kinds"]
    assert (kind["kind"], kind["oldest"]) == ("drift (balance)", str(drift.id))


async def test_several_workers_enqueue_one_digest(bookings: Bookings) -> None:
    await _call_attention(bookings, LOST, NOW - PATIENCE)
    await asyncio.gather(*(OperatorDigest(bookings.engine).enqueue_if_due(NOW) for _ in range(5)))
    assert len(await _digests(bookings)) == 1


async def test_digest_without_an_address_is_given_up(
    bookings: Bookings, sender: MailSender, server: MailServer
) -> None:
    await _call_attention(bookings, LOST, NOW - PATIENCE)
    await OperatorDigest(bookings.engine).enqueue_if_due(NOW)
    await sender.send_due(NOW)
    [digest] = await _digests(bookings)
    assert digest.last_error == "no_recipient"
    assert server.mails == []
