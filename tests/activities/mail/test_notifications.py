"""The content of each mail for each recipient, in text and HTML, and its safety against hostile names."""

import re
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from icalendar import Calendar, Event
from jinja2 import Environment, meta
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import outbox
from activities.mail.content import MailContent, MailDiscarded
from activities.mail.rendering import TEMPLATES, render
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
from models.domain.messages import RecordEnding
from models.domain.notifications import NotificationKind, Recipient
from models.domain.payments import HoldPhase, PaymentState
from models.domain.terms import BookingTerms
from models.languages import LANGUAGES, language
from models.session_calendar import Party
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.people import Instructor, Student
from tests.activities.bookings import HOUR, NOW, STARTS_AT, Bookings, authorization, ended, held, reserve
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
    assert to_student["Subject"] == "Waiting for confirmation: Counterpoint, Thu 5 Mar, 04:00"
    tiers = "nothing until 24 hours before the start, 50% until 2 hours before the start; the full price after that"
    for shown in (text(to_student), html(to_student).replace("&#39;", "'")):
        assert "until Tue, 3 Mar 2026, 04:00 (America/New_York)" in shown
        assert "Thu, 5 Mar 2026, 04:00–05:00 (America/New_York)" in shown
        assert "US$100.00 is on hold, and you have not been charged" in shown
        assert f"you pay: {tiers}" in shown
    to_instructor = await mail(bookings, NotificationKind.BOOKING_RECEIVED, Recipient.INSTRUCTOR)
    assert to_instructor["Subject"] == "New booking request: Counterpoint, Thu 5 Mar, 14:30"
    assert "by Tue, 3 Mar 2026, 14:30 (Asia/Kolkata)" in text(to_instructor)
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
    join = f"{PUBLIC_URL}/bookings/{terms.booking_id}/join"
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
    requested, terms = await bookings.authorized(), await bookings.terms(STARTS_AT + 24 * HOUR)
    for is_recorded in (False, True):
        await _set(bookings, BookingRequest, requested.booking_id, is_recorded=is_recorded)
        texts = [text(await mail(bookings, NotificationKind.BOOKING_RECEIVED, to)) for to in Recipient]
        assert {"Recording: The instructor may record the session" in each for each in texts} == {is_recorded}
    await bookings.records.reserve_slot(reserve(terms))
    await bookings.records.record_authorization(authorization(terms))
    await bookings.records.record_acceptance(bookings.acceptance(terms))
    before_session = (
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
    assert "moved from Thu, 5 Mar 2026, 09:00 (UTC) to Fri, 6 Mar 2026, 09:00 (UTC)" in text(moved)
    assert moved["Subject"] == "Rescheduled: Counterpoint, Fri 6 Mar, 09:00"
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
    with pytest.raises(MailDiscarded, match="out_of_date"):
        await mail(bookings, NotificationKind.APPROVED, Recipient.STUDENT)


async def test_cancellation_mail_has_who_cancelled_and_the_amounts(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    late = cancelled(terms, STUDENT, terms.starts_at - timedelta(hours=3), accepted=True)
    await end(bookings, ended(terms, late, held(terms, HoldPhase.CAPTURED)))
    to_student = text(await mail(bookings, NotificationKind.CANCELLED, Recipient.STUDENT))
    assert "You cancelled the booking." in to_student
    assert "You were charged US$50.00. The rest of the hold, US$50.00, is released." in to_student
    assert "You cancelled on" in to_student
    assert "50% until 2 hours before the start" in to_student
    assert f"{PUBLIC_URL}/bookings/{terms.booking_id}/receipt.pdf" in to_student
    to_instructor = text(await mail(bookings, NotificationKind.CANCELLED, Recipient.INSTRUCTOR))
    assert "The student cancelled the booking." in to_instructor
    assert "Your share is US$40.00: US$50.00 less a platform fee of US$10.00." in to_instructor
    assert "receipt.pdf" not in to_instructor


async def test_cancellation_by_the_instructor_refunds_everything(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await end(bookings, ended(terms, cancelled(terms, INSTRUCTOR, NOW, accepted=True), held(terms, HoldPhase.GONE)))
    to_student = text(await mail(bookings, NotificationKind.CANCELLED, Recipient.STUDENT))
    assert "The instructor cancelled the booking." in to_student
    assert "The hold of US$100.00 is released." in to_student
    assert "receipt.pdf" not in to_student
    assert "There is no payout for this booking." in text(
        await mail(bookings, NotificationKind.CANCELLED, Recipient.INSTRUCTOR)
    )


async def test_completion_mails_have_the_receipt_and_the_share(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await end(bookings, ended(terms, completed(terms, INSTRUCTOR), held(terms, HoldPhase.CAPTURED)))
    to_student = await mail(bookings, NotificationKind.COMPLETED, Recipient.STUDENT)
    assert to_student["Subject"] == "Receipt: Counterpoint, Thu 5 Mar, 09:00"
    assert "You were charged US$100.00." in text(to_student)
    assert f"{PUBLIC_URL}/bookings/{terms.booking_id}/receipt.pdf" in text(to_student)
    assert invitation(to_student) is None
    [attached] = to_student.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("application/pdf", "receipt.pdf")
    assert attached.get_content().startswith(b"%PDF-")
    assert "Your share is US$80.00" in text(await mail(bookings, NotificationKind.COMPLETED, Recipient.INSTRUCTOR))


@pytest.mark.parametrize(
    ("absent", "phase", "expected"),
    [
        (
            AbsentParty.STUDENT,
            HoldPhase.CAPTURED,
            ("The meeting's record shows that you did not attend.", "You were charged US$100.00."),
        ),
        (
            AbsentParty.INSTRUCTOR,
            HoldPhase.GONE,
            ("The instructor did not attend", "You were not charged. The hold of US$100.00 is released."),
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
    assert "They write: “I am travelling.”" in shown
    assert "The hold of US$100.00 is released." in shown


async def test_expiry_mails_name_the_missing_answer(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    await end(bookings, ended(terms, approval_timed_out(terms), held(terms, HoldPhase.GONE)))
    assert "The instructor did not respond in time." in text(
        await mail(bookings, NotificationKind.EXPIRED, Recipient.STUDENT)
    )
    assert "You did not respond in time" in text(await mail(bookings, NotificationKind.EXPIRED, Recipient.INSTRUCTOR))


@pytest.mark.parametrize(
    ("reason", "code", "why"),
    [
        (EndReason.CARD_DECLINED, "insufficient_funds", "Your card was declined: insufficient funds."),
        (EndReason.CARD_DECLINED, "stolen_card", "Your card was declined."),
        (EndReason.CHECKOUT_EXPIRED, None, "The payment was not completed in time."),
        (EndReason.HOLD_TOO_SHORT, None, "Your bank does not hold the payment until the session is over."),
        (EndReason.CHECKOUT_REFUSED, None, "The payment could not be started."),
    ],
)
async def test_unpaid_mail_has_the_reason(bookings: Bookings, reason: EndReason, code: str | None, why: str) -> None:
    terms = await bookings.reserved()
    await end(bookings, ended(terms, unpaid(terms, reason, code), PaymentState(phase=HoldPhase.CLOSED)))
    unbooked = await mail(bookings, NotificationKind.UNPAID, Recipient.STUDENT)
    assert unbooked["Subject"] == "Not booked: Counterpoint, Thu 5 Mar, 09:00"
    assert why in text(unbooked)
    assert "Thu, 5 Mar 2026, 09:00–10:00 (UTC)" in text(unbooked)


@pytest.mark.parametrize(
    ("advice_code", "to_do"),
    [
        ("try_again_later", "You can try the same card again later."),
        ("do_not_try_again", "Do not try this card again: use another one."),
        ("confirm_card_data", "Check the card's number, expiry date and security code, or use another card."),
    ],
)
async def test_unpaid_mail_says_what_helps_with_the_card(bookings: Bookings, advice_code: str, to_do: str) -> None:
    terms = await bookings.reserved()
    ending = unpaid(terms, EndReason.CARD_DECLINED, "generic_decline", advice_code)
    await end(bookings, ended(terms, ending, PaymentState(phase=HoldPhase.CLOSED)))
    shown = text(await mail(bookings, NotificationKind.UNPAID, Recipient.STUDENT))
    assert f"Your card was declined. {to_do}" in " ".join(shown.split())


@pytest.mark.parametrize("recipient", Recipient)
@pytest.mark.parametrize("kind", [NotificationKind.REMINDER_A_DAY, NotificationKind.REMINDER_15_MINUTES])
async def test_reminder_has_the_start_and_the_join_link(
    bookings: Bookings, kind: NotificationKind, recipient: Recipient
) -> None:
    terms = await bookings.accepted()
    shown = text(await mail(bookings, kind, recipient))
    assert "Thu, 5 Mar 2026, 09:00" in shown
    assert f"/bookings/{terms.booking_id}/join" in shown


async def test_completion_due_mail_has_the_deadline(bookings: Bookings) -> None:
    await bookings.accepted()
    shown = text(await mail(bookings, NotificationKind.COMPLETION_DUE, Recipient.INSTRUCTOR, STARTS_AT + HOUR))
    assert "by Fri, 6 Mar 2026, 10:00 (UTC)" in shown
    assert "the student pays nothing and you are not paid" in shown


async def test_mail_is_in_the_readers_language_and_names_the_platform(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    await _set(bookings, Student, terms.student_id, language="de", time_zone="Europe/Berlin")
    to_student = await mail(bookings, NotificationKind.BOOKING_RECEIVED, Recipient.STUDENT)
    assert to_student["Subject"] == "Wartet auf Bestätigung: Counterpoint, Do., 5. März, 10:00"
    assert "100,00 $ sind reserviert" in text(to_student)
    assert "Wenn Sie nicht teilnehmen, zahlen Sie 100,00 $." in text(to_student)
    assert '<html lang="de">' in html(to_student)
    assert "Diese E-Mail wurde von Holdfast gesendet" in text(to_student)
    to_instructor = await mail(bookings, NotificationKind.BOOKING_RECEIVED, Recipient.INSTRUCTOR)
    assert "This email was sent by Holdfast, where you have an account." in text(to_instructor)


@pytest.mark.parametrize("code", sorted(LANGUAGES))
@pytest.mark.parametrize("kind", NotificationKind)
def test_every_template_renders_in_every_language(code: str, kind: NotificationKind) -> None:
    names = meta.find_undeclared_variables(
        Environment(extensions=["jinja2.ext.i18n"]).parse((TEMPLATES / f"{kind}.txt").read_text())  # noqa: S701
    )
    names -= {"gettext", "ngettext", "_"}
    for to_student in (True, False):
        variables: dict[str, Any] = {name: f"<{name}>" for name in names} | {"to_student": to_student, "sessions": 2}
        content = MailContent(kind, language(code), Party("Ada", "ada@example.test"), variables, [], [], None)
        rendered = render(content, "Holdfast")
        assert rendered.subject
        assert "%(" not in rendered.text
        assert "&lt;script" not in rendered.html


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


async def test_mail_links_to_the_bookings_page_where_there_are_pages(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    page = f"{PUBLIC_URL.rstrip('/')}/bookings/{terms.booking_id}"
    for has_pages in (True, False):
        received = await mail(bookings, NotificationKind.BOOKING_RECEIVED, Recipient.STUDENT, has_pages=has_pages)
        assert (page in text(received)) is has_pages
        assert (f'href="{page}"' in html(received)) is has_pages


async def test_mail_about_a_deleted_booking_links_to_no_page(bookings: Bookings) -> None:
    terms = await bookings.terms()
    await bookings.records.reserve_slot(reserve(terms))
    ending = unpaid(terms, EndReason.CHECKOUT_EXPIRED)
    await end(bookings, ended(terms, ending, PaymentState(phase=HoldPhase.CLOSED)))
    received = await mail(bookings, NotificationKind.UNPAID, Recipient.STUDENT, has_pages=True)
    assert str(terms.booking_id) not in text(received)
