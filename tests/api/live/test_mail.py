"""Whole journeys with a mail server: the mails that people receive, and their calendar files."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from icalendar import Calendar, Event
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.mail.sender import MailSender
from activities.mail.smtp import SmtpTransport
from models.documents.issuer import Issuer
from models.domain.ids import workflow_id
from models.session_calendar import Party
from sandbox.mail.catcher import CaughtMail
from tests.api.live.journey import booked, decide, paid, seen
from tests.api.world import PUBLIC_URL, Person, World
from tests.mailbox import MailServer

# The Stripe SDK's own use of httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

ISSUER = Issuer("Holdfast")


@pytest.fixture
async def mails(engine: AsyncEngine, worker: None) -> AsyncIterator[MailServer]:
    """A server that receives the worker's mails."""
    server = MailServer()
    sender = MailSender(
        engine, SmtpTransport(server.settings), Party("Holdfast", "post@holdfast.example"), PUBLIC_URL, ISSUER
    )
    async with server.there(), sender.running():
        yield server


async def subjects(mails: MailServer, person: Person, count: int) -> list[str]:
    """What the person was received, in order."""
    return [each.header("Subject") for each in await to(mails, person, count)]


async def confirmed(client: httpx.AsyncClient, world: World, mails: MailServer, slot_id: UUID | None = None) -> str:
    """A booking that is approved once both have read of the request: the approval supersedes that mail."""
    booking_id = await paid(client, world, slot_id)
    for person in (world.student, world.instructor):
        await to(mails, person, 1)
    assert (await decide(client, world.instructor, booking_id, "approve")).status_code == 200
    for person in (world.student, world.instructor):
        await to(mails, person, 2)
    return booking_id


async def to(mails: MailServer, person: Person, count: int) -> list[CaughtMail]:
    """Wait until a person has `count` mails."""
    address = f"{person.id}@{person.role}s.test"
    async with asyncio.timeout(20):
        while True:
            found = [each for each in mails.mails if each.recipients == (address,)]
            if len(found) >= count:
                assert len(found) == count
                return found
            await asyncio.sleep(0.05)


def event(file: str | bytes | None) -> Event:
    calendar = Calendar.from_ical(file or "")
    assert isinstance(calendar, Calendar)
    (found,) = calendar.walk("VEVENT")
    assert isinstance(found, Event)
    return found


async def test_cancellation_is_mailed_to_both_and_removed_from_calendars(
    client: httpx.AsyncClient, world: World, mails: MailServer
) -> None:
    booking_id = await confirmed(client, world, mails)
    received = await to(mails, world.student, 2)
    invited = next(each for each in received if each.header("Subject").startswith("Confirmed: Counterpoint, "))
    path = f"/bookings/{booking_id}/calendar.ics"
    imported = event((await client.get(f"/v1{path}", headers=world.student.headers)).content)
    in_mail = event(invited.body("calendar"))
    for name in ("UID", "SEQUENCE", "DTSTAMP", "SUMMARY", "STATUS"):
        assert in_mail[name] == imported[name]
    assert (in_mail.start, in_mail.end) == (imported.start, imported.end)

    assert (await decide(client, world.instructor, booking_id, "cancel")).status_code == 200
    last = next(each for each in await to(mails, world.student, 3) if each.header("Subject").startswith("Cancelled"))
    assert "The instructor cancelled the booking." in str(last.body("plain"))
    assert "You were not charged. The hold of US$100.00 is released." in str(last.body("plain"))
    removal = event(last.body("calendar"))
    assert (removal["UID"], removal["SEQUENCE"], removal["STATUS"]) == (in_mail["UID"], 1, "CANCELLED")
    assert [each.partition(":")[0] for each in await subjects(mails, world.instructor, 3)] == [
        *("New booking request", "Confirmed", "Cancelled"),
    ]
    ids = [each.header("Message-ID") for each in mails.mails]
    assert len(ids) == len(set(ids))


async def test_completed_session_is_mailed_with_a_receipt(
    client: httpx.AsyncClient, world: World, mails: MailServer
) -> None:
    booking_id = await confirmed(client, world, mails, await world.slot(starts_in=timedelta(seconds=8)))
    async with asyncio.timeout(20):
        while True:
            if (await decide(client, world.student, booking_id, "confirm")).status_code == 200:
                break
            await asyncio.sleep(0.5)
    assert [each.partition(":")[0] for each in await subjects(mails, world.student, 3)] == [
        "Waiting for confirmation",
        "Confirmed",
        "Receipt",
    ]
    receipt = next(each for each in mails.mails if each.header("Subject").startswith("Receipt"))
    path = f"/bookings/{booking_id}/receipt.pdf"
    assert f"{PUBLIC_URL}{path}" in str(receipt.body("plain"))
    [attached] = receipt.mail.iter_attachments()
    assert attached.get_content() == (await client.get(f"/v1{path}", headers=world.student.headers)).content


async def test_rejection_is_mailed_with_its_reason(
    client: httpx.AsyncClient, world: World, mails: MailServer, temporal: Client
) -> None:
    booking_id = await paid(client, world)
    await to(mails, world.student, 1)
    await decide(client, world.instructor, booking_id, "reject", {"reason": "My cat is ill."})
    rejection = next(
        each for each in await to(mails, world.student, 2) if each.header("Subject").startswith("Declined")
    )
    assert "My cat is ill." in str(rejection.body("plain"))
    history = (await temporal.get_workflow_handle(workflow_id(UUID(booking_id))).fetch_history()).to_json()
    for personal in ("cat", "students.test", "Nadia", "Counterpoint"):
        assert personal not in history


async def test_unpaid_cancellation_is_mailed_to_the_student_only(
    client: httpx.AsyncClient, world: World, mails: MailServer
) -> None:
    created = await booked(client, world)
    await decide(client, world.student, created["id"], "cancel")
    await seen(client, world.student, created["id"], lambda shown: shown["status"] == "CANCELLED")
    [subject] = await subjects(mails, world.student, 1)
    assert subject.startswith("Cancelled: Counterpoint, ")
    assert await to(mails, world.instructor, 0) == []


async def test_both_are_told_of_a_proposal_its_end_and_a_move_before_the_approval(
    client: httpx.AsyncClient, world: World, mails: MailServer
) -> None:
    booking_id = await paid(client, world)
    for person in (world.student, world.instructor):
        await to(mails, person, 1)
    other = {"slot_id": str(await world.slot(timedelta(days=4)))}
    steps = [
        (world.student, "reschedule", other, "New time proposed"),
        (world.instructor, "reschedule/decline", None, "New time declined"),
        (world.instructor, "reschedule", other, "New time proposed"),
        (world.instructor, "reschedule/decline", None, "Proposal withdrawn"),
        (world.student, "reschedule", other, "New time proposed"),
        (world.instructor, "reschedule/accept", other, "Rescheduled"),
    ]
    for number, (person, act, body, subject) in enumerate(steps, start=2):
        assert (await decide(client, person, booking_id, act, body)).status_code == 200
        for recipient in (world.student, world.instructor):
            latest = (await to(mails, recipient, number))[-1]
            assert latest.header("Subject").partition(":")[0] == subject
    for recipient, text in (
        (world.student, "to confirm your booking"),
        (world.instructor, "Please confirm or decline"),
    ):
        moved = (await to(mails, recipient, 7))[-1]
        assert text in str(moved.body("plain"))
        assert moved.body("calendar") is None
        assert "/join" not in str(moved.body("plain"))
