"""Each mail is sent once, despite failures of the mail server or the sender and despite concurrent senders."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.mail.composing import compose
from activities.mail.content import MailContent
from activities.mail.sender import BATCH_SIZE, LEASE, RENEWAL_SECONDS, MailSender
from activities.mail.smtp import SmtpTransport
from models.domain.actors import Actor, Role
from models.domain.endings import approval_timed_out, cancelled, completed
from models.domain.notifications import SCHEDULED, NotificationKind, Recipient
from models.domain.payments import HoldPhase
from models.domain.states import BookingStatus
from models.domain.terms import BookingTerms
from models.languages import language
from models.session_calendar import Party
from models.settings import MailSettings
from models.tables.bookings import BookingRequest
from models.tables.outbox import OutboxMessage
from models.tables.people import Instructor, Student
from sandbox.stack.ports import LOOPBACK
from tests.activities.bookings import HOUR, NOW, STARTS_AT, Bookings, authorization, ended, held, reserve
from tests.activities.mail.conftest import ISSUER, PUBLIC_URL, SENDER
from tests.mailbox import MailServer
from worker import Settings, mail_sender

LATER = NOW + 2 * HOUR
"""The mails of an accepted booking are due by then, its reminders are not."""


class Crash(BaseException):
    """Simulates the end of the process."""


class CrashingTransport(SmtpTransport):
    """Sends the mail, and crashes before that is recorded."""

    async def send(self, mail: EmailMessage) -> None:
        await super().send(mail)
        raise Crash


class SlowTransport(SmtpTransport):
    """Sends the mail once it may."""

    def __init__(self, settings: MailSettings) -> None:
        super().__init__(settings)
        self.may_send = asyncio.Event()

    async def send(self, mail: EmailMessage) -> None:
        await self.may_send.wait()
        await super().send(mail)


async def _one_mail(bookings: Bookings) -> BookingTerms:
    """A paid booking with one pending notification: the student's."""
    terms = await bookings.authorized()
    async with AsyncSession(bookings.engine) as session, session.begin():
        await session.exec(delete(OutboxMessage).where(col(OutboxMessage.recipient_role) == Recipient.INSTRUCTOR))
    return terms


async def _addresses(bookings: Bookings, terms: BookingTerms) -> tuple[str, str]:
    """The addresses of student and instructor."""
    student = await bookings.get(Student, terms.student_id)
    instructor = await bookings.get(Instructor, terms.instructor_id)
    return student.email, instructor.email


async def _change_student(bookings: Bookings, terms: BookingTerms, **fields: Any) -> None:
    async with AsyncSession(bookings.engine) as session, session.begin():
        (await session.get_one(Student, terms.student_id)).sqlmodel_update(fields)


async def _send_all(sender: MailSender) -> None:
    """Each person's mails about a booking are sent one after the other."""
    while await sender.send_due(LATER):
        pass


async def _eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - other tasks make it true
            await asyncio.sleep(0.02)


async def test_due_mails_are_sent_once_and_others_wait(
    bookings: Bookings, sender: MailSender, server: MailServer
) -> None:
    terms = await bookings.authorized()
    assert await sender.send_due(LATER) == 2
    await bookings.records.record_acceptance(bookings.acceptance(terms))
    assert await sender.send_due(LATER) == 2
    assert await sender.send_due(LATER) == 0
    student, instructor = await _addresses(bookings, terms)
    assert sorted(each.recipients for each in server.mails) == sorted(2 * [(student,), (instructor,)])
    sent = [each for each in await bookings.all(OutboxMessage) if each.sent_at]
    assert {each.kind for each in sent} == {NotificationKind.BOOKING_RECEIVED, NotificationKind.APPROVED}
    assert {each.header("Message-ID") for each in server.mails} == {f"<{each.id}@holdfast.example>" for each in sent}


async def test_reminders_are_sent_when_due(bookings: Bookings, sender: MailSender, server: MailServer) -> None:
    await bookings.accepted()
    await _send_all(sender)
    before = len(server.mails)
    assert await sender.send_due(STARTS_AT - timedelta(days=1, seconds=1)) == 0
    assert await sender.send_due(STARTS_AT - timedelta(days=1)) == 2
    assert all(each.header("Subject").startswith("Reminder: Counterpoint") for each in server.mails[before:])


async def test_reminder_is_discarded_after_the_session_began(
    bookings: Bookings, sender: MailSender, server: MailServer
) -> None:
    await bookings.accepted()
    await _send_all(sender)
    before = len(server.mails)
    while await sender.send_due(STARTS_AT):
        pass
    assert len(server.mails) == before
    given_up = [each for each in await bookings.all(OutboxMessage) if each.gave_up_at and each.kind in SCHEDULED]
    assert [each.last_error for each in given_up] == ["out_of_date"] * 4


async def test_mails_of_a_booking_come_in_order_and_only_while_true(
    bookings: Bookings, sender: MailSender, server: MailServer
) -> None:
    """The mail server comes back after an outage in which the booking was confirmed and cancelled."""
    terms = await bookings.accepted()
    async with AsyncSession(bookings.engine) as session, session.begin():
        # The oldest mails have failed most often, so that they are retried last.
        await session.exec(
            update(OutboxMessage)
            .where(col(OutboxMessage.kind) == NotificationKind.BOOKING_RECEIVED)
            .values(next_attempt_at=LATER + HOUR)
        )
    instructor = Actor(role=Role.INSTRUCTOR)
    cancellation = cancelled(terms, instructor, NOW + 2 * HOUR, accepted=True)
    await bookings.records.record_ending(ended(terms, cancellation, held(terms, HoldPhase.GONE)))
    later = LATER + 4 * HOUR
    assert await sender.send_due(LATER) == 0
    while await sender.send_due(later):
        pass
    assert [each.header("Subject").partition(":")[0] for each in server.mails] == ["Cancelled"] * 2
    given_up = {each.kind: each.last_error for each in await bookings.all(OutboxMessage) if each.gave_up_at}
    assert given_up == {NotificationKind.BOOKING_RECEIVED: "out_of_date", NotificationKind.APPROVED: "out_of_date"}


async def test_later_mail_waits_for_an_earlier_one_of_the_same_person(
    bookings: Bookings, sender: MailSender, server: MailServer
) -> None:
    terms = await _one_mail(bookings)
    server.catcher.rcpt_answers.append("451 4.7.1 greylisted")
    assert await sender.send_due(LATER) == 1
    await bookings.records.record_ending(ended(terms, approval_timed_out(terms), held(terms, HoldPhase.GONE)))
    # Only the instructor's.
    assert await sender.send_due(LATER + timedelta(seconds=1)) == 1
    async with AsyncSession(bookings.engine) as session, session.begin():
        await session.exec(update(BookingRequest).values(status=BookingStatus.PENDING))
    while await sender.send_due(LATER + timedelta(seconds=10)):
        pass
    student, _ = await _addresses(bookings, terms)
    subjects = [each.header("Subject").partition(":")[0] for each in server.mails if each.recipients == (student,)]
    assert subjects == ["Waiting for confirmation", "Not confirmed"]


NAMES = st.text(
    st.one_of(st.sampled_from('a b,"<>@()[];:.\\'), st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
    min_size=1,
    max_size=200,
)


@given(NAMES | st.text(st.sampled_from('a b,"<>@()[];:.\\'), min_size=60, max_size=200))
@settings(max_examples=300, deadline=None)
def test_to_header_is_one_recipient_for_every_name(name: str) -> None:
    content = MailContent(
        notification=NotificationKind.PASSWORD_CHANGED,
        language=language("en"),
        reader=Party(name, "ada@example.test"),
        variables={"at": "now"},
        details=[],
        links=[],
        appointment=None,
    )
    sent = compose(content, UUID(int=1), NOW, SENDER, ISSUER).as_bytes()
    received = message_from_bytes(sent, policy=policy.default)
    assert [each.addr_spec for each in received["To"].addresses] == ["ada@example.test"]
    assert all(len(line) <= 998 for line in sent.split(b"\r\n"))


async def test_long_name_with_commas_reaches_the_mail_server_as_one_recipient(
    bookings: Bookings, sender: MailSender, server: MailServer
) -> None:
    terms = await _one_mail(bookings)
    name = ", ".join(["Ada"] * 40)
    await _change_student(bookings, terms, name=name)
    await sender.send_due(LATER)
    [mail] = server.mails
    student, _ = await _addresses(bookings, terms)
    [recipient] = getaddresses([mail.header("To").replace("\n", "")])
    assert recipient == (name, student)


async def _twelve_mails(bookings: Bookings) -> None:
    for number in range(6):
        terms = await bookings.terms(STARTS_AT + number * 2 * HOUR)
        await bookings.records.reserve_slot(reserve(terms))
        await bookings.records.record_authorization(authorization(terms))


async def test_concurrent_senders_send_mails_once(bookings: Bookings, sender: MailSender, server: MailServer) -> None:
    await _twelve_mails(bookings)
    others = [MailSender(bookings.engine, SmtpTransport(server.settings), SENDER, PUBLIC_URL, ISSUER) for _ in range(4)]
    attempted = await asyncio.gather(*(each.send_due(LATER) for each in (sender, *others)))
    assert sum(attempted) == 12
    ids = [each.header("Message-ID") for each in server.mails]
    assert len(ids) == len(set(ids)) == 12
    assert max(attempted) <= BATCH_SIZE


async def test_a_sender_takes_at_most_a_batch_whatever_the_query_plan(
    bookings: Bookings, server: MailServer, database_url: str
) -> None:
    """A plan in which a subquery runs once per row, as the planner chooses it by its statistics."""
    await _twelve_mails(bookings)
    methods = ("hashjoin", "hashagg", "mergejoin", "sort", "indexscan", "bitmapscan", "material", "memoize")
    options = " ".join(f"-c enable_{method}=off" for method in methods)
    engine = create_async_engine(database_url, connect_args={"options": options})
    try:
        sender = MailSender(engine, SmtpTransport(server.settings), SENDER, PUBLIC_URL, ISSUER)
        assert [await sender.send_due(LATER) for _ in range(3)] == [BATCH_SIZE, 2, 0]
    finally:
        await engine.dispose()


async def test_lease_is_renewed_while_a_mail_is_being_sent(
    bookings: Bookings, sender: MailSender, server: MailServer
) -> None:
    """A mail server that is slower than the lease still gets the mail once."""
    await _one_mail(bookings)
    transport = SlowTransport(server.settings)
    slow = MailSender(bookings.engine, transport, SENDER, PUBLIC_URL, ISSUER)
    sending = asyncio.create_task(slow.send_due(LATER))
    async with asyncio.timeout(2 * RENEWAL_SECONDS):
        while (await bookings.all(OutboxMessage))[0].next_attempt_at <= LATER + LEASE:  # noqa: ASYNC110 - a task changes it
            await asyncio.sleep(0.1)
    assert await sender.send_due(LATER + LEASE) == 0
    transport.may_send.set()
    assert await sending == 1
    assert len(server.mails) == 1


def test_a_lease_is_a_matter_of_seconds() -> None:
    """It is how long a mail waits whose sender was killed."""
    assert timedelta(seconds=3 * RENEWAL_SECONDS) <= LEASE <= timedelta(seconds=30)


async def test_mail_is_resent_with_the_same_message_id_after_a_crash(
    bookings: Bookings, sender: MailSender, server: MailServer
) -> None:
    await _one_mail(bookings)
    crashing = MailSender(bookings.engine, CrashingTransport(server.settings), SENDER, PUBLIC_URL, ISSUER)
    with pytest.raises(Crash):
        await crashing.send_due(LATER)
    assert len(server.mails) == 1
    assert await sender.send_due(LATER + LEASE - timedelta(seconds=1)) == 0
    assert await sender.send_due(LATER + LEASE) == 1
    first, second = server.mails
    assert first.header("Message-ID") == second.header("Message-ID")
    assert first.header("Date") == second.header("Date")
    assert await sender.send_due(LATER + 2 * LEASE) == 0


async def test_mails_are_kept_while_the_server_is_down(bookings: Bookings) -> None:
    await bookings.authorized()
    server = MailServer()
    sender = MailSender(bookings.engine, SmtpTransport(server.settings), SENDER, PUBLIC_URL, ISSUER)
    await sender.send_due(LATER)
    await sender.send_due(LATER + timedelta(days=30))
    waiting = await bookings.all(OutboxMessage)
    assert [(each.attempts, each.sent_at, each.gave_up_at) for each in waiting] == [(2, None, None)] * 2
    assert {each.last_error for each in waiting} == {"SMTPConnectError"}
    async with server.there():
        assert await sender.send_due(LATER + timedelta(days=31)) == 2
    assert all(each.sent_at for each in await bookings.all(OutboxMessage))
    assert len(server.mails) == 2


@pytest.mark.parametrize("step", ["rcpt", "data"])
async def test_temporary_failure_is_retried_with_backoff(
    bookings: Bookings, sender: MailSender, server: MailServer, step: str
) -> None:
    await _one_mail(bookings)
    answers = server.catcher.rcpt_answers if step == "rcpt" else server.catcher.data_answers
    answers += ["451 4.7.1 greylisted", "451 4.7.1 greylisted"]
    await sender.send_due(LATER)
    assert await sender.send_due(LATER + timedelta(seconds=4)) == 0
    assert await sender.send_due(LATER + timedelta(seconds=5)) == 1
    assert await sender.send_due(LATER + timedelta(seconds=14)) == 0
    assert await sender.send_due(LATER + timedelta(seconds=15)) == 1
    (message,) = await bookings.all(OutboxMessage)
    assert (message.attempts, message.last_error) == (3, None)
    assert len(server.mails) == 1


async def test_mail_is_given_up_after_five_days_of_temporary_failures(
    bookings: Bookings, sender: MailSender, server: MailServer
) -> None:
    await _one_mail(bookings)
    server.catcher.rcpt_answers += ["452 4.2.2 mailbox full"] * 2
    await sender.send_due(LATER)
    await sender.send_due(LATER + timedelta(days=5))
    (message,) = await bookings.all(OutboxMessage)
    assert message.gave_up_at
    assert message.last_error == "452"


@pytest.mark.parametrize("step", ["rcpt", "data"])
async def test_permanent_failure_is_recorded_with_its_code_and_no_address(
    bookings: Bookings, sender: MailSender, server: MailServer, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    terms = await _one_mail(bookings)
    address, _ = await _addresses(bookings, terms)
    answers = server.catcher.rcpt_answers if step == "rcpt" else server.catcher.data_answers
    answers.append(f"550 5.1.1 <{address}> unknown")
    with caplog.at_level(logging.DEBUG, "holdfast"):
        await sender.send_due(LATER)
    assert await sender.send_due(LATER + timedelta(days=1)) == 0
    (message,) = await bookings.all(OutboxMessage)
    assert message.gave_up_at
    assert message.last_error == "550"
    log = "\n".join(each.getMessage() for each in caplog.records if each.name == "holdfast.mail")
    assert str(message.id) in log
    assert "550" in log
    assert address not in log


async def test_unusable_address_is_given_up_and_other_mails_are_sent(
    bookings: Bookings, sender: MailSender, server: MailServer
) -> None:
    terms = await bookings.authorized()
    await _change_student(bookings, terms, email="ada@example.test\r\nBcc: everybody@example.test")
    assert await sender.send_due(LATER) == 2
    assert [each.last_error for each in await bookings.all(OutboxMessage) if each.gave_up_at] == ["unusable_address"]
    _, instructor = await _addresses(bookings, terms)
    assert [each.recipients for each in server.mails] == [(instructor,)]


async def test_mail_about_a_missing_booking_is_given_up(
    bookings: Bookings, sender: MailSender, server: MailServer
) -> None:
    await _one_mail(bookings)
    async with AsyncSession(bookings.engine) as session, session.begin():
        await session.exec(update(OutboxMessage).values(booking_id=uuid4()))
    await sender.send_due(LATER)
    assert [each.last_error for each in await bookings.all(OutboxMessage)] == ["no_booking"]
    assert server.mails == []


async def test_background_task_sends_new_mails_until_it_is_stopped(
    bookings: Bookings, sender: MailSender, server: MailServer
) -> None:
    async with sender.running():
        await bookings.authorized()
        await _eventually(lambda: len(server.mails) == 2)
    # The mails in progress at the stop are recorded too.
    assert all(each.sent_at for each in await bookings.all(OutboxMessage))


async def test_background_task_survives_a_database_outage(
    bookings: Bookings, sender: MailSender, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with bookings.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE outbox_message RENAME TO away")
    async with sender.running():
        await _eventually(lambda: "cannot be read" in caplog.text)
        async with bookings.engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE away RENAME TO outbox_message")
        await bookings.authorized()
        await _eventually(lambda: len(server.mails) == 2)


def _settings(monkeypatch: pytest.MonkeyPatch, **overrides: str) -> Settings:
    """Settings of a worker in development, from the environment."""
    required = {
        "HOLDFAST_ENV": "development",
        "HOLDFAST_PUBLIC_URL": PUBLIC_URL,
        "STRIPE_API_KEY": "sk_test_1",
        "DATABASE_URL": "postgresql+psycopg://elsewhere/holdfast",
    }
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in (required | overrides).items():
        monkeypatch.setenv(name, value)
    return Settings()


async def test_links_use_the_front_end_url_if_it_is_set(
    bookings: Bookings, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    smtp = {
        "HOLDFAST_SMTP_HOST": LOOPBACK,
        "HOLDFAST_SMTP_PORT": str(server.port),
        "HOLDFAST_SMTP_SECURITY": "none",
        "HOLDFAST_MAIL_FROM": "Holdfast <no-reply@holdfast.example>",
    }
    settings = _settings(monkeypatch, HOLDFAST_LINKS_URL="https://app.example/", **smtp)
    terms = await bookings.accepted()
    completion = completed(terms, Actor(role=Role.INSTRUCTOR))
    await bookings.records.record_ending(ended(terms, completion, held(terms, HoldPhase.CAPTURED)))
    receipt = f"https://app.example/bookings/{terms.booking_id}/receipt.pdf"
    async with mail_sender(settings, bookings.engine):
        await _eventually(lambda: any(receipt in (each.body("plain") or "") for each in server.mails))
    assert settings.holdfast_pages
    page = f"https://app.example/bookings/{terms.booking_id}"
    assert any(page in (each.body("plain") or "").split() for each in server.mails)


async def test_worker_without_a_mail_server_warns_and_keeps_the_mails(
    bookings: Bookings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await bookings.authorized()
    async with mail_sender(_settings(monkeypatch), bookings.engine):
        assert "No mails are sent: HOLDFAST_SMTP_HOST is not set" in caplog.text
    assert [each.attempts for each in await bookings.all(OutboxMessage)] == [0, 0]
