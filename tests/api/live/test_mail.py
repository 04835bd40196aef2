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
from tests.api.live.journey import approved, booked, decide, paid, seen
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
    """The subjects of a person's mails, sorted: two mails of one second arrive in any order."""
    return sorted(each.header("Subject") for each in await to(mails, person, count))


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
    booking_id = await approved(client, world)
    received = await to(mails, world.student, 2)
    invited = next(each for each in received if each.header("Subject").startswith("Agreed: Counterpoint on "))
    path = f"/v1/bookings/{booking_id}/calendar.ics"
    imported = event((await client.get(path, headers=world.student.headers)).content)
    in_mail = event(invited.body("calendar"))
    for name in ("UID", "SEQUENCE", "DTSTAMP", "SUMMARY", "STATUS"):
        assert in_mail[name] == imported[name]
    assert (in_mail.start, in_mail.end) == (imported.start, imported.end)

    assert (await decide(client, world.instructor, booking_id, "cancel")).status_code == 200
    last = next(each for each in await to(mails, world.student, 3) if each.header("Subject").startswith("Cancelled"))
    assert "The instructor cancelled it." in str(last.body("plain"))
    assert "All of the 100.00 USD goes back to you." in str(last.body("plain"))
    removal = event(last.body("calendar"))
    assert (removal["UID"], removal["SEQUENCE"], removal["STATUS"]) == (in_mail["UID"], 1, "CANCELLED")
    assert [each.partition(":")[0] for each in await subjects(mails, world.instructor, 3)] == [
        *("Agreed", "Cancelled", "New booking"),
    ]
    ids = [each.header("Message-ID") for each in mails.mails]
    assert len(ids) == len(set(ids))


async def test_completed_session_is_mailed_with_a_receipt(
    client: httpx.AsyncClient, world: World, mails: MailServer
) -> None:
    booking_id = await approved(client, world, await world.slot(starts_in=timedelta(seconds=8)))
    async with asyncio.timeout(20):
        while True:
            if (await decide(client, world.instructor, booking_id, "complete")).status_code == 200:
                break
            await asyncio.sleep(0.5)
    assert [each.partition(":")[0] for each in await subjects(mails, world.student, 3)] == ["Agreed", "Paid", "Receipt"]
    receipt = next(each for each in mails.mails if each.header("Subject").startswith("Receipt"))
    path = f"/v1/bookings/{booking_id}/receipt.pdf"
    assert f"{PUBLIC_URL}{path}" in str(receipt.body("plain"))
    [attached] = receipt.mail.iter_attachments()
    assert attached.get_content() == (await client.get(path, headers=world.student.headers)).content


async def test_rejection_is_mailed_with_its_reason(
    client: httpx.AsyncClient, world: World, mails: MailServer, temporal: Client
) -> None:
    booking_id = await paid(client, world)
    await decide(client, world.instructor, booking_id, "reject", {"reason": "My cat is ill."})
    rejection = next(
        each for each in await to(mails, world.student, 2) if each.header("Subject").startswith("Not taken")
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
    assert await subjects(mails, world.student, 1) == ["Cancelled: Counterpoint with Nadia"]
    assert await to(mails, world.instructor, 0) == []
