"""What both sides read of a report on the session: who can answer it, by when, and what happens otherwise."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.mail.content import MailDiscarded
from models.domain.actors import PLATFORM, AbsentParty, Actor, Role
from models.domain.endings import completed, no_show
from models.domain.messages import Channel, RecordAttention
from models.domain.notifications import NotificationKind, Recipient
from models.domain.payments import HoldPhase
from models.domain.session_reports import UNDECIDED, RecordAnswer, RecordReport
from models.domain.terms import BookingTerms
from models.tables.people import Student
from tests.activities.bookings import HOUR, STARTS_AT, Bookings, ended, held
from tests.activities.mail.reading import mail, text

ENDS_AT = STARTS_AT + HOUR
UNTIL = ENDS_AT + timedelta(days=1)


async def report(bookings: Bookings, terms: BookingTerms, by: Role, absent: AbsentParty | None) -> None:
    person = terms.student_id if by is Role.STUDENT else terms.instructor_id
    await bookings.records.record_session_report(
        RecordReport(
            booking_id=terms.booking_id,
            actor=Actor(role=by, id=person),
            channel=Channel.API,
            absent=absent,
            answer_until=UNTIL,
            at=ENDS_AT,
        )
    )


async def reads_german(bookings: Bookings, student_id: UUID) -> None:
    async with AsyncSession(bookings.engine) as session, session.begin():
        (await session.get_one(Student, student_id)).language = "de-AT"


async def read(bookings: Bookings, kind: NotificationKind, recipient: Recipient) -> tuple[str, str]:
    """Subject and text."""
    received = await mail(bookings, kind, recipient, ENDS_AT)
    return received["Subject"], text(received)


async def test_a_reported_completion_says_until_when_the_student_can_object(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await reads_german(bookings, terms.student_id)
    await report(bookings, terms, Role.INSTRUCTOR, None)
    subject, shown = await read(bookings, NotificationKind.COMPLETION_REPORTED, Recipient.STUDENT)
    assert subject == "Hat Ihre Sitzung stattgefunden? Counterpoint, Do., 5. März, 09:00"
    assert "bis Fr., 6. März 2026, 10:00 (UTC) bestätigen oder mit einer Begründung widersprechen" in shown
    assert "werden Ihnen 100,00 $ berechnet" in shown
    subject, shown = await read(bookings, NotificationKind.COMPLETION_REPORTED, Recipient.INSTRUCTOR)
    assert subject == "Reported as completed: Counterpoint, Thu 5 Mar, 09:00"
    assert "Ada can object by Fri, 6 Mar 2026, 10:00 (UTC)" in shown


async def test_a_reported_no_show_says_to_each_side_what_happens_without_an_answer(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await report(bookings, terms, Role.STUDENT, AbsentParty.INSTRUCTOR)
    _, shown = await read(bookings, NotificationKind.NO_SHOW_REPORTED, Recipient.INSTRUCTOR)
    assert "Ada reported that you did not attend the session." in shown
    assert "The student then pays nothing, and you are not paid" in shown
    _, shown = await read(bookings, NotificationKind.NO_SHOW_REPORTED, Recipient.STUDENT)
    assert "You reported that Nadia did not attend the session." in shown
    assert "can contest the report by Fri, 6 Mar 2026, 10:00 (UTC)" in shown
    assert "If you did" not in shown


@pytest.mark.parametrize("absent", [None, AbsentParty.STUDENT])
@pytest.mark.parametrize("recipient", Recipient)
async def test_a_report_that_was_answered_is_no_longer_said_to_be_open(
    bookings: Bookings, absent: AbsentParty | None, recipient: Recipient
) -> None:
    """After an outage of the mail server, the mail would ask for what the student has done already."""
    terms = await bookings.accepted()
    await report(bookings, terms, Role.INSTRUCTOR, absent)
    await bookings.records.record_session_answer(
        RecordAnswer(
            booking_id=terms.booking_id,
            actor=Actor(role=Role.STUDENT, id=terms.student_id),
            channel=Channel.API,
            at=ENDS_AT + HOUR,
            judged_at=ENDS_AT + HOUR,
        )
    )
    kind = NotificationKind.NO_SHOW_REPORTED if absent else NotificationKind.COMPLETION_REPORTED
    with pytest.raises(MailDiscarded, match="out_of_date"):
        await mail(bookings, kind, recipient, ENDS_AT + HOUR)


async def test_a_review_says_by_when_it_is_decided_and_what_happens_otherwise(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await bookings.records.record_attention(
        RecordAttention(booking_id=terms.booking_id, reason=UNDECIDED, at=ENDS_AT, until=UNTIL)
    )
    for recipient, otherwise in (
        (Recipient.STUDENT, "the hold is released in full, and you are not charged"),
        (Recipient.INSTRUCTOR, "the student pays nothing, and you are not paid"),
    ):
        subject, shown = await read(bookings, NotificationKind.UNDER_REVIEW, recipient)
        assert subject == "Under review: Counterpoint, Thu 5 Mar, 09:00"
        assert "our team decides by Fri, 6 Mar 2026, 10:00 (UTC)" in shown
        assert otherwise in shown


@pytest.mark.parametrize(
    ("by", "recipient", "happened"),
    [
        (Role.STUDENT, Recipient.STUDENT, "You confirmed that the session took place."),
        (Role.STUDENT, Recipient.INSTRUCTOR, "The student confirmed that the session took place."),
        (Role.INSTRUCTOR, Recipient.STUDENT, "The instructor reported that the session took place."),
        (Role.PLATFORM, Recipient.STUDENT, "The meeting's record shows that the session took place."),
    ],
)
async def test_a_completion_names_whose_word_counted(
    bookings: Bookings, by: Role, recipient: Recipient, happened: str
) -> None:
    terms = await bookings.accepted()
    await bookings.records.record_ending(
        ended(terms, completed(terms, Actor(role=by)), held(terms, HoldPhase.CAPTURED))
    )
    _, shown = await read(bookings, NotificationKind.COMPLETED, recipient)
    assert happened in shown


@pytest.mark.parametrize(
    ("by", "happened"),
    [
        (Actor(role=Role.STUDENT), "You were reported absent."),
        (PLATFORM, "The meeting's record shows that you did not attend."),
    ],
)
async def test_a_no_show_names_the_report_or_the_record(bookings: Bookings, by: Actor, happened: str) -> None:
    terms = await bookings.accepted()
    ending = no_show(terms, AbsentParty.INSTRUCTOR, by)
    await bookings.records.record_ending(ended(terms, ending, held(terms, HoldPhase.GONE)))
    _, shown = await read(bookings, NotificationKind.NO_SHOW, Recipient.INSTRUCTOR)
    assert happened in shown
