"""What a mail says, read from the records at the moment it is sent."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking.payment_records import instructor_minor
from activities.mail import templates
from activities.mail.templates import Outcome
from models.documents.receipt import Receipt
from models.domain.actors import Role
from models.domain.endings import EndReason
from models.domain.money import Money
from models.domain.notifications import (
    ABOUT_PAYOUTS,
    ABOUT_THE_ACCOUNT,
    BEFORE_THE_SESSION,
    NotificationKind,
    Recipient,
    still_matters,
)
from models.domain.payouts import failure
from models.domain.policy import BookingPolicy, CompletionTimeoutPolicy
from models.domain.zones import zone
from models.receipts import Line, Names, lines_of, receipt
from models.session_calendar import Appointment, Party, appointment, join_url, receipt_url, reset_url
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.credentials import RESET_LASTS, PasswordReset, token_hash
from models.tables.outbox import OutboxMessage
from models.tables.payments import Payment
from models.tables.people import Instructor, Student
from models.tables.refunds import Refund

_LETS_IN = frozenset({NotificationKind.APPROVED, NotificationKind.RESCHEDULED, *BEFORE_THE_SESSION})
_TELLS_OF_RECORDING = _LETS_IN | {NotificationKind.BOOKING_RECEIVED}
_CHANGES_CALENDARS = frozenset({NotificationKind.APPROVED, NotificationKind.RESCHEDULED, NotificationKind.CANCELLED})

_RECORDING = ("Recording", "The instructor may record the session")
_BANK_DETAILS = ("Your bank details at Stripe", "https://connect.stripe.com/express_login")


class Void(Exception):
    """There is nobody to tell any more, or nothing worth telling. Says why in a word."""


@dataclass(frozen=True)
class Records:
    booking: BookingRequest
    student: Student
    instructor: Instructor
    session: LiveSession | None
    payment: Payment | None
    refund: Refund | None
    """The one that the mail is about."""


@dataclass(frozen=True)
class Letter:
    notification: NotificationKind
    reader: Party
    words: dict[str, Any]
    """What the notice's template may use."""
    details: Sequence[tuple[str, str]]
    links: Sequence[tuple[str, str]]
    appointment: Appointment | None
    """What the reader's calendar is to learn."""
    receipt: Receipt | None = None
    """What a student is given whose booking has ended with a payment."""


async def read(session: AsyncSession, message: OutboxMessage, public_url: str, now: datetime) -> Letter:
    """Raises `Void`."""
    if message.kind in ABOUT_PAYOUTS:
        return await _about_payout(session, message)
    if message.kind in ABOUT_THE_ACCOUNT:
        return await _about_account(session, message, public_url, now)
    booking = await session.get(BookingRequest, message.booking_id)
    if booking is None and "booking" in message.facts:
        booking = BookingRequest.model_validate(message.facts["booking"])
    if booking is None:
        raise Void("no_booking")
    if not still_matters(message.kind, booking.status, booking.starts_at, now):
        raise Void("too_late")
    statement = (
        select(Student, Instructor, LiveSession)
        .select_from(Student)
        .join(Instructor, col(Instructor.id) == booking.instructor_id)
        .outerjoin(LiveSession, col(LiveSession.booking_id) == booking.id)
        .where(col(Student.id) == booking.student_id)
    )
    row = (await session.exec(statement)).first()
    if row is None:
        raise Void("no_recipient")
    payment = await session.get(Payment, booking.id)
    refund = await session.get(Refund, UUID(message.facts["refund_id"])) if "refund_id" in message.facts else None
    records = Records(booking, *row, payment, refund)
    letter = _letter(message, records, public_url)
    return replace(letter, receipt=await _receipt(session, records)) if _brings_receipt(message, records) else letter


async def _receipt(session: AsyncSession, records: Records) -> Receipt | None:
    """The same one as the API gives."""
    student = records.student
    names = Names(student.name, student.time_zone, records.instructor.name)
    lines = (await session.exec(lines_of(records.booking.id))).all()
    return receipt(records.booking, names, (Line(*line) for line in lines))


def _brings_receipt(message: OutboxMessage, records: Records) -> bool:
    is_closed = records.booking.end_reason is not None
    was_charged = records.payment is not None and records.payment.captured_minor > 0
    return is_closed and was_charged and message.recipient_role is Recipient.STUDENT


async def _about_payout(session: AsyncSession, message: OutboxMessage) -> Letter:
    instructor = await session.get(Instructor, message.recipient_id)
    if instructor is None:
        raise Void("no_recipient")
    facts = message.facts
    amount = Money(amount_minor=facts["amount_minor"], currency=facts["currency"]).format()
    why, to_do = failure(facts["failure_code"])
    has_failed = message.kind is NotificationKind.PAYOUT_FAILED
    return Letter(
        notification=message.kind,
        reader=Party(instructor.name, instructor.email),
        words={"amount": amount, "sessions": facts["sessions"], "why": why, "to_do": to_do},
        details=[("Amount", amount)],
        links=[_BANK_DETAILS] if has_failed else [],
        appointment=None,
    )


async def _about_account(session: AsyncSession, message: OutboxMessage, public_url: str, now: datetime) -> Letter:
    to_student = message.recipient_role is Recipient.STUDENT
    person: Student | Instructor | None = await session.get(Student if to_student else Instructor, message.recipient_id)
    if person is None:
        raise Void("no_recipient")
    where, expires_at = zone(person.time_zone), message.created_at + RESET_LASTS
    is_reset = message.kind is NotificationKind.PASSWORD_RESET
    if is_reset and now >= expires_at:
        raise Void("too_late")
    return Letter(
        notification=message.kind,
        reader=Party(person.name, person.email),
        words={"at": templates.moment(message.created_at, where), "until": templates.moment(expires_at, where)},
        details=[],
        links=[("Choose a new password", reset_url(public_url, await _new_token(session, message, expires_at)))]
        if is_reset
        else [],
        appointment=None,
    )


async def _new_token(session: AsyncSession, message: OutboxMessage, expires_at: datetime) -> str:
    """Made for this mail, and known to nobody but its reader. A mail that has to be sent again brings another."""
    token = secrets.token_urlsafe()
    reset = PasswordReset(
        token_hash=token_hash(token),
        person_id=message.recipient_id,
        generation=message.facts["generation"],
        expires_at=expires_at,
    )
    session.add(reset)
    return token


def _letter(message: OutboxMessage, records: Records, public_url: str) -> Letter:
    booking = records.booking
    people: tuple[Student | Instructor, ...] = (records.student, records.instructor)
    reader, other = people if message.recipient_role is Recipient.STUDENT else reversed(people)
    where = zone(reader.time_zone)
    price = Money(amount_minor=booking.price_minor, currency=booking.currency)
    return Letter(
        notification=message.kind,
        reader=Party(reader.name, reader.email),
        words={
            "to_student": message.recipient_role is Recipient.STUDENT,
            "other": other.name,
            "title": booking.title,
            "starts": templates.moment(booking.starts_at, where),
            **_circumstances(message, records, where),
        },
        details=[
            ("What", booking.title),
            ("With", other.name),
            ("When", templates.span(booking.starts_at, booking.ends_at, where)),
            ("Price", price.format()),
            *([_RECORDING] if booking.is_recorded and message.kind in _TELLS_OF_RECORDING else []),
        ],
        links=list(_links(message, records, public_url)),
        appointment=appointment(booking, records.session, booking.title, other.name, public_url)
        if records.session and message.kind in _CHANGES_CALENDARS
        else None,
    )


def _circumstances(message: OutboxMessage, records: Records, where: ZoneInfo) -> dict[str, Any]:
    booking, payment, facts = records.booking, records.payment, message.facts
    policy = BookingPolicy.model_validate(booking.policy)
    words: dict[str, Any] = {
        "cancellation": templates.cancellation_terms(policy.cancellation),
        "settles_on_completion_timeout": policy.on_completion_timeout is CompletionTimeoutPolicy.SETTLE,
        "words_of_instructor": booking.rejection_reason,
        "outcome": templates.outcome(_money(payment) if payment else None, message.recipient_role),
    }
    for name in ("until", "previous_starts_at"):
        if name in facts:
            words[name] = templates.moment(datetime.fromisoformat(facts[name]), where)
    if booking.next_deadline_at:
        words["deadline"] = templates.moment(booking.next_deadline_at, where)
    if records.refund:
        words |= _of_refund(records.refund)
    if "reason" in facts:
        words["why"] = templates.why_unpaid(EndReason(facts["reason"]), facts["decline_code"])
    if "by" in facts and booking.end_reason:
        words["happened"] = templates.what_happened(booking.end_reason, Role(facts["by"]), message.recipient_role)
    return words


def _of_refund(refund: Refund) -> dict[str, Any]:
    def said(amount_minor: int) -> str:
        return Money(amount_minor=amount_minor, currency=refund.currency).format()

    return {
        "refund": said(refund.amount_minor),
        "borne": said(refund.instructor_minor) if refund.instructor_minor else None,
        "words_of_operator": refund.reason,
    }


def _money(payment: Payment) -> Outcome:
    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=payment.currency)

    return Outcome(
        price=money(payment.amount_minor),
        captured=money(payment.captured_minor),
        returned=money(payment.returned_minor),
        platform_fee=money(payment.platform_fee_minor),
        share=money(instructor_minor(payment)),
    )


def _links(message: OutboxMessage, records: Records, public_url: str) -> Iterator[tuple[str, str]]:
    if message.kind in _LETS_IN:
        yield "Join the session", join_url(public_url, records.booking.id)
    if _brings_receipt(message, records):
        yield "Your receipt", receipt_url(public_url, records.booking.id)
