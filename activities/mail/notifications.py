"""The content of a mail, read from the records when it is sent."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking.payment_records import instructor_minor
from activities.mail import templates
from activities.mail.templates import PaymentOutcome
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
    is_still_relevant,
)
from models.domain.payouts import failure
from models.domain.policy import BookingPolicy, CompletionTimeoutPolicy
from models.domain.zones import zone
from models.receipts import Line, Names, lines_of, receipt
from models.session_calendar import Appointment, Party, appointment, join_url, receipt_url, reset_url, verification_url
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.credentials import (
    RESET_LASTS,
    VERIFICATION_LASTS,
    AddressVerification,
    PasswordReset,
    token_hash,
)
from models.tables.outbox import OutboxMessage
from models.tables.payments import Payment
from models.tables.people import Instructor, Student
from models.tables.refunds import Refund

_HAS_JOIN_LINK = frozenset({NotificationKind.APPROVED, NotificationKind.RESCHEDULED, *BEFORE_THE_SESSION})
_MENTIONS_RECORDING = _HAS_JOIN_LINK | {NotificationKind.BOOKING_RECEIVED}
_CHANGES_CALENDARS = frozenset({NotificationKind.APPROVED, NotificationKind.RESCHEDULED, NotificationKind.CANCELLED})

_RECORDING = ("Recording", "The instructor may record the session")
_BANK_DETAILS = ("Your bank details at Stripe", "https://connect.stripe.com/express_login")


_LINK_LASTS = {
    NotificationKind.PASSWORD_RESET: RESET_LASTS,
    NotificationKind.ADDRESS_VERIFICATION: VERIFICATION_LASTS,
}


class MailDiscarded(Exception):
    """The mail will not be sent: it has no recipient, or is out of date. The message is a code for the reason."""


@dataclass(frozen=True)
class BookingRecords:
    booking: BookingRequest
    student: Student
    instructor: Instructor
    session: LiveSession | None
    payment: Payment | None
    refund: Refund | None
    """The refund that the mail is about."""


@dataclass(frozen=True)
class MailContent:
    notification: NotificationKind
    reader: Party
    variables: dict[str, Any]
    """The template's variables."""
    details: Sequence[tuple[str, str]]
    links: Sequence[tuple[str, str]]
    appointment: Appointment | None
    """The change to the reader's calendar."""
    receipt: Receipt | None = None
    """Attached for the student of a booking that ended with a payment."""


async def load(session: AsyncSession, message: OutboxMessage, public_url: str, now: datetime) -> MailContent:
    """The content of the outbox message's mail. Raises `MailDiscarded`."""
    if message.kind in ABOUT_PAYOUTS:
        return await _about_payout(session, message)
    if message.kind in ABOUT_THE_ACCOUNT:
        return await _about_account(session, message, public_url, now)
    booking = await session.get(BookingRequest, message.booking_id)
    if booking is None and "booking" in message.facts:
        booking = BookingRequest.model_validate(message.facts["booking"])
    if booking is None:
        raise MailDiscarded("no_booking")
    if not is_still_relevant(message.kind, booking.status, booking.starts_at, now):
        raise MailDiscarded("too_late")
    statement = (
        select(Student, Instructor, LiveSession)
        .select_from(Student)
        .join(Instructor, col(Instructor.id) == booking.instructor_id)
        .outerjoin(LiveSession, col(LiveSession.booking_id) == booking.id)
        .where(col(Student.id) == booking.student_id)
    )
    row = (await session.exec(statement)).first()
    if row is None:
        raise MailDiscarded("no_recipient")
    payment = await session.get(Payment, booking.id)
    refund = await session.get(Refund, UUID(message.facts["refund_id"])) if "refund_id" in message.facts else None
    records = BookingRecords(booking, *row, payment, refund)
    content = _about_booking(message, records, public_url)
    if not _has_receipt(message, records):
        return content
    return replace(content, receipt=await _receipt(session, records))


async def _receipt(session: AsyncSession, records: BookingRecords) -> Receipt | None:
    """The same receipt as the API serves."""
    student = records.student
    names = Names(student.name, student.time_zone, records.instructor.name)
    lines = (await session.exec(lines_of(records.booking.id))).all()
    return receipt(records.booking, names, (Line(*line) for line in lines))


def _has_receipt(message: OutboxMessage, records: BookingRecords) -> bool:
    is_closed = records.booking.end_reason is not None
    was_charged = records.payment is not None and records.payment.captured_minor > 0
    return is_closed and was_charged and message.recipient_role is Recipient.STUDENT


async def _about_payout(session: AsyncSession, message: OutboxMessage) -> MailContent:
    instructor = await session.get(Instructor, message.recipient_id)
    if instructor is None:
        raise MailDiscarded("no_recipient")
    facts = message.facts
    amount = Money(amount_minor=facts["amount_minor"], currency=facts["currency"]).format()
    why, to_do = failure(facts["failure_code"])
    has_failed = message.kind is NotificationKind.PAYOUT_FAILED
    return MailContent(
        notification=message.kind,
        reader=_reader(instructor),
        variables={"amount": amount, "sessions": facts["sessions"], "why": why, "to_do": to_do},
        details=[("Amount", amount)],
        links=[_BANK_DETAILS] if has_failed else [],
        appointment=None,
    )


async def _about_account(session: AsyncSession, message: OutboxMessage, public_url: str, now: datetime) -> MailContent:
    to_student = message.recipient_role is Recipient.STUDENT
    person: Student | Instructor | None = await session.get(Student if to_student else Instructor, message.recipient_id)
    if person is None:
        raise MailDiscarded("no_recipient")
    time_zone, expires_at = zone(person.time_zone), message.created_at + _LINK_LASTS.get(message.kind, timedelta(0))
    if message.kind in _LINK_LASTS and now >= expires_at:
        raise MailDiscarded("too_late")
    is_verification = message.kind is NotificationKind.ADDRESS_VERIFICATION
    return MailContent(
        notification=message.kind,
        # Whoever signed up chose the name, and the address may be somebody else's.
        reader=_reader(person, is_named=not is_verification),
        variables={
            "at": templates.local_time(message.created_at, time_zone),
            "until": templates.local_time(expires_at, time_zone),
        },
        details=[],
        links=list(_account_links(session, message, public_url, expires_at)),
        appointment=None,
    )


def _reader(person: Student | Instructor, is_named: bool = True) -> Party:
    if person.closed_at is not None:
        raise MailDiscarded("account_closed")
    return Party(person.name if is_named else "", person.email)


def _account_links(
    session: AsyncSession, message: OutboxMessage, public_url: str, expires_at: datetime
) -> Iterator[tuple[str, str]]:
    """With a token for this mail. Only its hash is stored, so each attempt to send the mail creates another token."""
    token = secrets.token_urlsafe()
    match message.kind:
        case NotificationKind.PASSWORD_RESET:
            session.add(
                PasswordReset(
                    token_hash=token_hash(token),
                    person_id=message.recipient_id,
                    generation=message.facts["generation"],
                    expires_at=expires_at,
                )
            )
            yield "Choose a new password", reset_url(public_url, token)
        case NotificationKind.ADDRESS_VERIFICATION:
            session.add(
                AddressVerification(
                    token_hash=token_hash(token), student_id=message.recipient_id, expires_at=expires_at
                )
            )
            yield "Confirm this address", verification_url(public_url, token)


def _about_booking(message: OutboxMessage, records: BookingRecords, public_url: str) -> MailContent:
    booking = records.booking
    people: tuple[Student | Instructor, ...] = (records.student, records.instructor)
    reader, other = people if message.recipient_role is Recipient.STUDENT else reversed(people)
    time_zone = zone(reader.time_zone)
    price = Money(amount_minor=booking.price_minor, currency=booking.currency)
    return MailContent(
        notification=message.kind,
        reader=_reader(reader),
        variables={
            "to_student": message.recipient_role is Recipient.STUDENT,
            "other": other.name,
            "title": booking.title,
            "starts": templates.local_time(booking.starts_at, time_zone),
            **_booking_variables(message, records, time_zone),
        },
        details=[
            ("What", booking.title),
            ("With", other.name),
            ("When", templates.local_period(booking.starts_at, booking.ends_at, time_zone)),
            ("Price", price.format()),
            *([_RECORDING] if booking.is_recorded and message.kind in _MENTIONS_RECORDING else []),
        ],
        links=list(_links(message, records, public_url)),
        appointment=appointment(booking, records.session, booking.title, other.name, public_url)
        if records.session and message.kind in _CHANGES_CALENDARS
        else None,
    )


def _booking_variables(message: OutboxMessage, records: BookingRecords, time_zone: ZoneInfo) -> dict[str, Any]:
    booking, payment, facts = records.booking, records.payment, message.facts
    policy = BookingPolicy.model_validate(booking.policy)
    variables: dict[str, Any] = {
        "cancellation": templates.cancellation_terms(policy.cancellation),
        "settles_on_completion_timeout": policy.on_completion_timeout is CompletionTimeoutPolicy.SETTLE,
        "words_of_instructor": booking.rejection_reason,
        "outcome": templates.payment_outcome(_outcome(payment) if payment else None, message.recipient_role),
    }
    for name in ("until", "previous_starts_at"):
        if name in facts:
            variables[name] = templates.local_time(datetime.fromisoformat(facts[name]), time_zone)
    if booking.next_deadline_at:
        variables["deadline"] = templates.local_time(booking.next_deadline_at, time_zone)
    if records.refund:
        variables |= _refund_variables(records.refund)
    if "reason" in facts:
        variables["why"] = templates.unpaid_reason(EndReason(facts["reason"]), facts["decline_code"])
    if "by" in facts and booking.end_reason:
        variables["happened"] = templates.closing_reason(booking.end_reason, Role(facts["by"]), message.recipient_role)
    return variables


def _refund_variables(refund: Refund) -> dict[str, Any]:
    def formatted(amount_minor: int) -> str:
        return Money(amount_minor=amount_minor, currency=refund.currency).format()

    return {
        "refund": formatted(refund.amount_minor),
        "borne": formatted(refund.instructor_minor) if refund.instructor_minor else None,
        "words_of_operator": refund.reason,
    }


def _outcome(payment: Payment) -> PaymentOutcome:
    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=payment.currency)

    return PaymentOutcome(
        price=money(payment.amount_minor),
        captured=money(payment.captured_minor),
        returned=money(payment.returned_minor),
        platform_fee=money(payment.platform_fee_minor),
        share=money(instructor_minor(payment)),
    )


def _links(message: OutboxMessage, records: BookingRecords, public_url: str) -> Iterator[tuple[str, str]]:
    if message.kind in _HAS_JOIN_LINK:
        yield "Join the session", join_url(public_url, records.booking.id)
    if _has_receipt(message, records):
        yield "Your receipt", receipt_url(public_url, records.booking.id)
