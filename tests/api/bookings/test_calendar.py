from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from icalendar import Calendar, Event
from pydantic import AnyHttpUrl

from models.domain.ids import calendar_uid
from models.domain.states import BookingStatus, SessionStatus
from models.tables.bookings import LiveSession
from tests.api.world import PUBLIC_URL, Person, World, problem

CHANGED_AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


async def scheduled(world: World, status: SessionStatus = SessionStatus.SCHEDULED, sequence: int = 0) -> UUID:
    """A booking with a session, as the activities write it."""
    is_open = status is SessionStatus.SCHEDULED
    booking_id = await world.booking(status=BookingStatus.ACCEPTED if is_open else BookingStatus.CANCELLED)
    session = LiveSession(
        booking_id=booking_id,
        status=status,
        room="a-room",
        total_price_minor=10_000,
        platform_fee_minor=2_000,
        instructor_payout_minor=8_000,
        currency="usd",
        calendar_sequence=sequence,
        created_at=CHANGED_AT,
        updated_at=CHANGED_AT,
    )
    await world.add(session)
    return booking_id


async def download(client: httpx.AsyncClient, booking_id: UUID, person: Person) -> httpx.Response:
    return await client.get(f"/v1/bookings/{booking_id}/calendar.ics", headers=person.headers)


def event(answer: httpx.Response) -> Event:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="session.ics"'
    calendar = Calendar.from_ical(answer.content)
    assert isinstance(calendar, Calendar)
    # A file for manual import has no METHOD: an invitation would need an organizer.
    assert "METHOD" not in calendar
    (found,) = calendar.walk("VEVENT")
    assert isinstance(found, Event)
    return found


async def test_each_side_gets_the_session_in_utc_with_the_others_name(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await scheduled(world)
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    for person, other in ((world.student, "Nadia"), (world.instructor, "Ada")):
        found = event(await download(client, booking_id, person))
        assert found["SUMMARY"] == f"Counterpoint with {other}"
        assert (found["UID"], found["SEQUENCE"], found["STATUS"]) == (calendar_uid(booking_id), 0, "CONFIRMED")
        assert found["URL"] == f"{PUBLIC_URL}/bookings/{booking_id}/join"
        starts_at = datetime.fromisoformat(shown["starts_at"]).replace(microsecond=0)
        assert found.start == starts_at
        assert f"DTSTART:{starts_at:%Y%m%dT%H%M%SZ}".encode() in found.to_ical()


async def test_the_url_is_the_front_ends_if_there_is_one(app: FastAPI, client: httpx.AsyncClient, world: World) -> None:
    app.state.settings.runtime.holdfast_links_url = AnyHttpUrl("https://app.example")
    booking_id = await scheduled(world)
    found = event(await download(client, booking_id, world.student))
    assert found["URL"] == f"https://app.example/bookings/{booking_id}/join"


async def test_a_cancelled_session_updates_the_imported_one(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await scheduled(world, SessionStatus.CANCELLED, sequence=1)
    found = event(await download(client, booking_id, world.student))
    assert (found["UID"], found["SEQUENCE"], found["STATUS"]) == (calendar_uid(booking_id), 1, "CANCELLED")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(BookingStatus.PENDING, "not-possible-now"), (BookingStatus.REJECTED, "booking-closed")],
)
async def test_a_booking_without_a_session_has_no_file(
    client: httpx.AsyncClient, world: World, status: BookingStatus, kind: str
) -> None:
    answer = await download(client, await world.booking(status=status), world.student)
    assert problem(answer) == (409, kind)
    assert answer.json()["booking_status"] == status


async def test_the_file_of_a_deleted_booking_is_gone(client: httpx.AsyncClient, world: World) -> None:
    assert problem(await download(client, await world.deleted_booking(), world.student)) == (410, "booking-deleted")
