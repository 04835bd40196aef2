"""The content of each mail for each recipient, in text and HTML, and its safety against hostile names."""

import re
from datetime import timedelta
from email.message import EmailMessage

import pytest
from icalendar import Calendar, Event
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import outbox
from models.domain.actors import PLATFORM, AbsentParty, Actor, Role
from models.domain.endings import (
    EndReason,
    approval_timed_out,
    cancelled,
    completed,
    completion_timed_out,
    no_show,
    rejected,
    unpaid,
)
from models.domain.ids import calendar_uid
from models.domain.messages import HoldPhase, PaymentState, RecordEnding
from models.domain.notifications import NotificationKind, Recipient
from models.domain.terms import BookingTerms
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.people import Instructor, Student
from tests.activities.bookings import HOUR, NOW, STARTS_AT, Bookings, ended, held
from tests.activities.mail.conftest import PUBLIC_URL
from tests.activities.mail.reading import html, mail, text

STUDENT = Actor(role=Role.STUDENT)
INSTRUCTOR = Actor(role=Role.INSTRUCTOR)


def invitation(mail: EmailMessage) -> Calendar | None:
    parts = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    if not parts:
        return None
    (part,) = parts
    calendar = Calendar.from_ical(part.get_content())
    assert isinstance(calendar, Calendar)
    assert part.get_param("method") == calendar["METHOD"]
    (file,) = mail.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("session.ics", calendar.to_ical())
    return calendar


async def end(bookings: Bookings, record: RecordEnding) -> None:
    await bookings.records.record_ending(record)


async def test_booking_received_mail_has_the_deadline_in_the_readers_time_zone(
    bookings: Bookings,
) -> None:
    terms = await bookings.authorized()
    await _set(bookings, Student, terms.student_id, time_zone="America/New_York")
    await _set(bookings, Instructor, terms.instructor_id, time_zone="Asia/Kolkata")
    to_student = await mail(bookings, NotificationKind.BOOKING_RECEIVED, Recipient.STUDENT)
    assert to_student["Subject"] == "Paid: waiting for Nadia's answer"
    for shown in (text(to_student), html(to_student).replace("&#39;", "'")):
        assert "until Tuesday, 3 March 2026, 04:00 (America/New_York)" in shown
        assert "Thursday, 5 March 2026, 04:00–05:00 (America/New_York)" in shown
        assert "100.00 USD" in shown
        assert "all of it until 24 hours before the start, 50% until 2 hours before the start; later, nothing" in shown
    to_instructor = await mail(bookings, NotificationKind.BOOKING_RECEIVED, Recipient.INSTRUCTOR)
    assert to_instructor["Subject"] == "New booking: Counterpoint with Ada"
    assert "until Tuesday, 3 March 2026, 14:30 (Asia/Kolkata)" in text(to_instructor)
    assert "If you cancel" not in text(to_instructor)


async def test_message_id_and_date_are_the_same_at_every_attempt(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    first, second = [await mail(bookings, NotificationKind.BOOKING_RECEIVED, Recipient.STUDENT) for _ in range(2)]
    student = await bookings.get(Student, terms.student_id)
    assert first["To"] == f"Ada <{student.email}>"
    assert first["From"] == "Holdfast <no-reply@holdfast.example>"
    assert first["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"<[0-9a-f-]{36}@holdfast\.example>", first["Message-ID"])
    assert [(each["Message-ID"], each["Date"]) for each in (first, second)] == [
        (first["Message-ID"], first["Date"])
    ] * 2


@pytest.mark.parametrize("recipient", Recipient)
async def test_invitation_has_the_session_and_hides_the_other_address(bookings: Bookings, recipient: Recipient) -> None:
    terms = await bookings.accepted()
    approved = await mail(bookings, NotificationKind.APPROVED, recipient)
    calendar = invitation(approved)
    assert calendar is not None
    assert calendar["METHOD"] == "REQUEST"
    (event,) = calendar.walk("VEVENT")
    assert isinstance(event, Event)
    assert (event["UID"], event["SEQUENCE"]) == (calendar_uid(terms.booking_id), 0)
    assert (event.start, event.end) == (terms.starts_at, terms.ends_at)
    assert b"DTSTART:20260305T090000Z" in calendar.to_ical()
    join = f"{PUBLIC_URL}/v1/bookings/{terms.booking_id}/join"
    assert (event["URL"], event["STATUS"], event["ORGANIZER"]) == (
        join, "CONFIRMED", "mailto:no-reply@holdfast.example",
    )  # fmt: skip
    assert join in text(approved)
    assert f'href="{join}"' in html(approved)
    student, instructor = await _addresses(bookings, terms)
    own, others = (student, instructor) if recipient is Recipient.STUDENT else (instructor, student)
    assert event["ATTENDEE"] == f"mailto:{own}"
    assert others not in approved.as_string()


async def test_mails_before_the_session_mention_recording(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    before_session = (
        NotificationKind.BOOKING_RECEIVED,
        NotificationKind.APPROVED,
        NotificationKind.REMINDER_A_DAY,
        NotificationKind.REMINDER_15_MINUTES,
    )
    for is_recorded in (False, True):
        await _set(bookings, BookingRequest, terms.booking_id, is_recorded=is_recorded)
        texts = [text(await mail(bookings, kind, to)) for kind in before_session for to in Recipient]
        assert {"Recording: The instructor may record the session" in each for each in texts} == {is_recorded}


async def test_rescheduling_updates_and_cancellation_removes_the_same_event(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    async with AsyncSession(bookings.engine) as session, session.begin():
        booking = await session.get_one(BookingRequest, terms.booking_id)
        live_session = await session.get_one(LiveSession, terms.booking_id)
        booking.starts_at += 24 * HOUR
        booking.ends_at += 24 * HOUR
        await outbox.reschedule(session, booking, live_session, STARTS_AT, NOW + 2 * HOUR)
    moved = await mail(bookings, NotificationKind.RESCHEDULED, Recipient.STUDENT)
    assert "was to begin on Thursday, 5 March 2026, 09:00 (UTC)" in text(moved)
    assert moved["Subject"].endswith("is now on Friday, 6 March 2026, 09:00 (UTC)")
    update = _event(moved)
    await end(bookings, ended(terms, cancelled(terms, STUDENT, NOW, accepted=True), held(terms, HoldPhase.GONE)))
    cancelled_mail = await mail(bookings, NotificationKind.CANCELLED, Recipient.STUDENT)
    cancellation = _event(cancelled_mail)
    assert [each["UID"] for each in (update, cancellation)] == [calendar_uid(terms.booking_id)] * 2
    assert [each["SEQUENCE"] for each in (update, cancellation)] == [1, 2]
    assert (update.start, cancellation["STATUS"]) == (STARTS_AT + 24 * HOUR, "CANCELLED")
    calendars = [invitation(each) for each in (moved, cancelled_mail)]
    assert [each["METHOD"] for each in calendars if each] == ["REQUEST", "CANCEL"]


async def test_approval_sent_after_the_cancellation_does_not_restore_the_event(
    bookings: Bookings,
) -> None:
    terms = await bookings.accepted()
    await end(bookings, ended(terms, completion_timed_out(terms), held(terms, HoldPhase.GONE)))
    late = invitation(await mail(bookings, NotificationKind.APPROVED, Recipient.STUDENT))
    assert late is not None
    assert late["METHOD"] == "CANCEL"


async def test_cancellation_mail_has_who_cancelled_and_the_amounts(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    late = cancelled(terms, STUDENT, terms.starts_at - timedelta(hours=3), accepted=True)
    await end(bookings, ended(terms, late, held(terms, HoldPhase.CAPTURED)))
    to_student = text(await mail(bookings, NotificationKind.CANCELLED, Recipient.STUDENT))
    assert "You cancelled it." in to_student
    assert "You paid 50.00 USD; 50.00 USD goes back to you." in to_student
    assert f"{PUBLIC_URL}/v1/bookings/{terms.booking_id}/receipt.pdf" in to_student
    to_instructor = text(await mail(bookings, NotificationKind.CANCELLED, Recipient.INSTRUCTOR))
    assert "The student cancelled it." in to_instructor
    assert "Your share is 40.00 USD: 50.00 USD less a fee of 10.00 USD." in to_instructor
    assert "receipt.pdf" not in to_instructor


async def test_cancellation_by_the_instructor_refunds_everything(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await end(bookings, ended(terms, cancelled(terms, INSTRUCTOR, NOW, accepted=True), held(terms, HoldPhase.GONE)))
    to_student = text(await mail(bookings, NotificationKind.CANCELLED, Recipient.STUDENT))
    assert "The instructor cancelled it." in to_student
    assert "All of the 100.00 USD goes back to you." in to_student
    assert "receipt.pdf" not in to_student
    assert "Nothing is paid out for it." in text(await mail(bookings, NotificationKind.CANCELLED, Recipient.INSTRUCTOR))


async def test_completion_mails_have_the_receipt_and_the_share(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await end(bookings, ended(terms, completed(terms, INSTRUCTOR), held(terms, HoldPhase.CAPTURED)))
    to_student = await mail(bookings, NotificationKind.COMPLETED, Recipient.STUDENT)
    assert to_student["Subject"] == "Receipt: Counterpoint with Nadia"
    assert "You paid 100.00 USD." in text(to_student)
    assert f"{PUBLIC_URL}/v1/bookings/{terms.booking_id}/receipt.pdf" in text(to_student)
    assert invitation(to_student) is None
    [attached] = to_student.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("application/pdf", "receipt.pdf")
    assert attached.get_content().startswith(b"%PDF-")
    assert "Your share is 80.00 USD" in text(await mail(bookings, NotificationKind.COMPLETED, Recipient.INSTRUCTOR))


@pytest.mark.parametrize(
    ("absent", "phase", "expected"),
    [
        (
            AbsentParty.STUDENT,
            HoldPhase.CAPTURED,
            ("the student did not come", "You paid 50.00 USD; 50.00 USD goes back"),
        ),
        (
            AbsentParty.INSTRUCTOR,
            HoldPhase.GONE,
            ("the instructor did not come", "All of the 100.00 USD goes back to you"),
        ),
    ],
)
async def test_no_show_mail_has_the_absent_party_and_the_amounts(
    bookings: Bookings, absent: AbsentParty, phase: HoldPhase, expected: tuple[str, ...]
) -> None:
    terms = await bookings.accepted()
    await end(bookings, ended(terms, no_show(terms, absent, PLATFORM), held(terms, phase)))
    shown = text(await mail(bookings, NotificationKind.NO_SHOW, Recipient.STUDENT))
    assert all(part in shown for part in expected)


async def test_rejection_mail_quotes_the_instructors_reason(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    await _set(bookings, BookingRequest, terms.booking_id, rejection_reason="I am\ntravelling.")
    await end(bookings, ended(terms, rejected(terms, INSTRUCTOR), held(terms, HoldPhase.GONE)))
    shown = text(await mail(bookings, NotificationKind.REJECTED, Recipient.STUDENT))
    assert "In their words: “I am travelling.”" in shown
    assert "All of the 100.00 USD goes back to you." in shown


async def test_expiry_mails_name_the_missing_answer(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    await end(bookings, ended(terms, approval_timed_out(terms), held(terms, HoldPhase.GONE)))
    assert "The instructor did not answer in time." in text(
        await mail(bookings, NotificationKind.EXPIRED, Recipient.STUDENT)
    )
    assert "You did not answer in time" in text(await mail(bookings, NotificationKind.EXPIRED, Recipient.INSTRUCTOR))


@pytest.mark.parametrize(
    ("reason", "code", "why"),
    [
        (EndReason.CARD_DECLINED, "insufficient_funds", "your card was declined: there is not enough money on it"),
        (EndReason.CARD_DECLINED, "stolen_card", "your card was declined."),
        (EndReason.CHECKOUT_EXPIRED, None, "it was not paid in time"),
        (EndReason.HOLD_TOO_SHORT, None, "your bank does not hold the money until the session is over"),
        (EndReason.CHECKOUT_REFUSED, None, "the payment could not be started"),
    ],
)
async def test_unpaid_mail_has_the_reason(bookings: Bookings, reason: EndReason, code: str | None, why: str) -> None:
    terms = await bookings.reserved()
    await end(bookings, ended(terms, unpaid(terms, reason, code), PaymentState(phase=HoldPhase.CLOSED)))
    unbooked = await mail(bookings, NotificationKind.UNPAID, Recipient.STUDENT)
    assert unbooked["Subject"] == "Not booked: Counterpoint with Nadia"
    assert why in text(unbooked)
    assert "Thursday, 5 March 2026, 09:00–10:00 (UTC)" in text(unbooked)


@pytest.mark.parametrize("recipient", Recipient)
@pytest.mark.parametrize("kind", [NotificationKind.REMINDER_A_DAY, NotificationKind.REMINDER_15_MINUTES])
async def test_reminder_has_the_start_and_the_join_link(
    bookings: Bookings, kind: NotificationKind, recipient: Recipient
) -> None:
    terms = await bookings.accepted()
    shown = text(await mail(bookings, kind, recipient))
    assert "Thursday, 5 March 2026, 09:00" in shown
    assert f"/v1/bookings/{terms.booking_id}/join" in shown


async def test_completion_due_mail_has_the_deadline(bookings: Bookings) -> None:
    await bookings.accepted()
    shown = text(await mail(bookings, NotificationKind.COMPLETION_DUE, Recipient.INSTRUCTOR, STARTS_AT + HOUR))
    assert "until Friday, 6 March 2026, 10:00 (UTC)" in shown
    assert "the money goes back to the student" in shown


HOSTILE = 'Eve\r\nBcc: all@example.test\r\n\r\n<script>alert("1")</script>\u2028{{ 7 * 7 }}\u202e'


async def test_hostile_name_cannot_add_a_header_paragraph_or_tag(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await _set(bookings, Student, terms.student_id, name=HOSTILE)
    await _set(bookings, BookingRequest, terms.booking_id, title=HOSTILE)
    for recipient in Recipient:
        approved = await mail(bookings, NotificationKind.APPROVED, recipient)
        headers, _, _ = approved.as_string().partition("\n\n")
        assert approved["Bcc"] is None
        assert not re.search(r"^bcc:", headers, re.IGNORECASE | re.MULTILINE)
        assert "<script" not in html(approved)
        assert "&lt;script&gt;" in html(approved)
        assert not re.search(r"^\s*(Bcc:|<script)", text(approved), re.MULTILINE)
        assert "\u202e" not in text(approved)
        assert "{{ 7 * 7 }}" in text(approved)
        event = _event(approved)
        assert set(event) <= {
            *("UID", "SEQUENCE", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "STATUS", "LOCATION", "URL"),
            *("ORGANIZER", "ATTENDEE"),
        }


async def test_name_in_any_script_is_preserved(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await _set(bookings, Student, terms.student_id, name='佐藤 "健二" O’Brien')
    to_instructor = await mail(bookings, NotificationKind.APPROVED, Recipient.INSTRUCTOR)
    assert '佐藤 "健二" O’Brien' in text(to_instructor)
    assert "佐藤" in str(_event(to_instructor)["SUMMARY"])
    to_student = await mail(bookings, NotificationKind.APPROVED, Recipient.STUDENT)
    assert to_student["To"].addresses[0].display_name == '佐藤 "健二" O’Brien'
    assert to_student.as_bytes().isascii()


def _event(mail: EmailMessage) -> Event:
    calendar = invitation(mail)
    assert calendar is not None
    (event,) = calendar.walk("VEVENT")
    assert isinstance(event, Event)
    return event


async def _set(bookings: Bookings, kind: type, key: object, **fields: object) -> None:
    async with AsyncSession(bookings.engine) as session, session.begin():
        (await session.get_one(kind, key)).sqlmodel_update(fields)


async def _addresses(bookings: Bookings, terms: BookingTerms) -> tuple[str, str]:
    student = await bookings.get(Student, terms.student_id)
    instructor = await bookings.get(Instructor, terms.instructor_id)
    return student.email, instructor.email
