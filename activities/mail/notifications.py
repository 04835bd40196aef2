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
from models.documents.terms import absence_terms, cancellation_terms
from models.domain.actors import Role
from models.domain.attention import PATIENCE
from models.domain.endings import EndReason
from models.domain.money import Money
from models.domain.notifications import (
    ABOUT_PAYOUTS,
    ABOUT_THE_ACCOUNT,
    BEFORE_THE_SESSION,
    NotificationKind,
    Recipient,
    is_still_true,
)
from models.domain.payouts import failure
from models.domain.policy import BookingPolicy, CompletionTimeoutPolicy
from models.domain.proposals import ProposalStatus
from models.domain.states import RefundStatus
from models.domain.zones import zone
from models.languages import Language, language
from models.receipts import Line, Names, lines_of, receipt
from models.session_calendar import Appointment, Party, appointment, join_url, receipt_url, reset_url, verification_url
from models.tables.bookings import BookingRequest, LiveSession, RescheduleProposal
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
from models.tables.session_reports import SessionReport

_HAS_JOIN_LINK = frozenset({NotificationKind.APPROVED, NotificationKind.RESCHEDULED, *BEFORE_THE_SESSION})
_MENTIONS_RECORDING = _HAS_JOIN_LINK | {NotificationKind.BOOKING_RECEIVED}
_CHANGES_CALENDARS = frozenset({NotificationKind.APPROVED, NotificationKind.RESCHEDULED, NotificationKind.CANCELLED})

_BANK_DETAILS_URL = "https://connect.stripe.com/express_login"


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
    language: Language
    """The reader's."""
    reader: Party
    variables: dict[str, Any]
    """The template's variables."""
    details: Sequence[tuple[str, str]]
    links: Sequence[tuple[str, str]]
    appointment: Appointment | None
    """The change to the reader's calendar."""
    receipt: Receipt | None = None
    """Attached for the student of a booking that ended with a payment."""


async def load(
    session: AsyncSession, message: OutboxMessage, public_url: str, now: datetime, operators: str | None = None
) -> MailContent:
    """The content of the outbox message's mail. `operators` is their address. Raises `MailDiscarded`."""
    if message.kind is NotificationKind.OPERATOR_DIGEST:
        return _to_operators(message, operators)
    if message.kind in ABOUT_PAYOUTS:
        return await _about_payout(session, message)
    if message.kind in ABOUT_THE_ACCOUNT:
        return await _about_account(session, message, public_url, now)
    booking = await session.get(BookingRequest, message.booking_id)
    if booking is None and "booking" in message.facts:
        booking = BookingRequest.model_validate(message.facts["booking"])
    if booking is None:
        raise MailDiscarded("no_booking")
    if not is_still_true(message.kind, booking.status, booking.starts_at, booking.ends_at, now):
        raise MailDiscarded("out_of_date")
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
    if await _is_superseded(session, message, booking, refund):
        raise MailDiscarded("out_of_date")
    records = BookingRecords(booking, *row, payment, refund)
    content = _about_booking(message, records, public_url)
    if not _has_receipt(message, records):
        return content
    return replace(content, receipt=await _receipt(session, records))


async def _is_superseded(
    session: AsyncSession, message: OutboxMessage, booking: BookingRequest, refund: Refund | None
) -> bool:
    """Whether what the mail is about has changed since: the time, the proposal, the report or the refund."""
    match message.kind:
        case NotificationKind.RESCHEDULED:
            return datetime.fromisoformat(message.facts["starts_at"]) != booking.starts_at
        case NotificationKind.RESCHEDULE_PROPOSED:
            proposal = await session.get(RescheduleProposal, UUID(message.facts["proposal_id"]))
            return proposal is None or proposal.status is not ProposalStatus.OPEN
        case NotificationKind.NO_SHOW_REPORTED | NotificationKind.COMPLETION_REPORTED:
            report = await session.get(SessionReport, booking.id)
            return report is not None and report.answered_at is not None
        case NotificationKind.REFUNDED:
            to_student = message.recipient_role is Recipient.STUDENT
            return to_student and refund is not None and refund.status is RefundStatus.FAILED
        case NotificationKind.REFUND_FAILED:
            return refund is not None and refund.status is not RefundStatus.FAILED
    return False


async def _receipt(session: AsyncSession, records: BookingRecords) -> Receipt | None:
    """The same receipt as the API serves."""
    student = records.student
    names = Names(student.name, student.time_zone, student.language, records.instructor.name)
    lines = (await session.exec(lines_of(records.booking.id))).all()
    return receipt(records.booking, names, (Line(*line) for line in lines))


def _has_receipt(message: OutboxMessage, records: BookingRecords) -> bool:
    is_closed = records.booking.end_reason is not None
    was_charged = records.payment is not None and records.payment.captured_minor > 0
    return is_closed and was_charged and message.recipient_role is Recipient.STUDENT


def _to_operators(message: OutboxMessage, address: str | None) -> MailContent:
    if address is None:
        raise MailDiscarded("no_recipient")
    reads, utc = language("en"), zone("UTC")
    kinds: list[dict[str, Any]] = message.facts["kinds"]
    since = {each["kind"]: reads.time(datetime.fromisoformat(each["since"]), utc) for each in kinds}
    return MailContent(
        notification=message.kind,
        language=reads,
        reader=Party("", address),
        variables={
            "cases": message.facts["cases"],
            "minutes": PATIENCE // timedelta(minutes=1),
            "since": since[kinds[0]["kind"]],
        },
        details=[
            (each["kind"], f"{each['count']}; the oldest is {each['oldest']}, since {since[each['kind']]}")
            for each in kinds
        ],
        links=[],
        appointment=None,
    )


async def _about_payout(session: AsyncSession, message: OutboxMessage) -> MailContent:
    instructor = await session.get(Instructor, message.recipient_id)
    if instructor is None:
        raise MailDiscarded("no_recipient")
    facts, reads = message.facts, language(instructor.language)
    amount = reads.money(Money(amount_minor=facts["amount_minor"], currency=facts["currency"]))
    why, to_do = failure(facts["failure_code"])
    has_failed = message.kind is NotificationKind.PAYOUT_FAILED
    return MailContent(
        notification=message.kind,
        language=reads,
        reader=_reader(instructor),
        variables={
            "amount": amount,
            "sessions": facts["sessions"],
            "why": reads.gettext(why),
            "to_do": reads.gettext(to_do),
        },
        details=[(reads.gettext("Amount"), amount)],
        links=[(reads.gettext("Update bank details"), _BANK_DETAILS_URL)] if has_failed else [],
        appointment=None,
    )


async def _about_account(session: AsyncSession, message: OutboxMessage, public_url: str, now: datetime) -> MailContent:
    to_student = message.recipient_role is Recipient.STUDENT
    person: Student | Instructor | None = await session.get(Student if to_student else Instructor, message.recipient_id)
    if person is None:
        raise MailDiscarded("no_recipient")
    reads, time_zone = language(person.language), zone(person.time_zone)
    expires_at = message.created_at + _LINK_LASTS.get(message.kind, timedelta(0))
    if message.kind in _LINK_LASTS and now >= expires_at:
        raise MailDiscarded("out_of_date")
    is_verification = message.kind is NotificationKind.ADDRESS_VERIFICATION
    return MailContent(
        notification=message.kind,
        language=reads,
        # Whoever signed up chose the name, and the address may be somebody else's.
        reader=_reader(person, is_named=not is_verification),
        variables={
            "at": reads.time(message.created_at, time_zone),
            "until": reads.time(expires_at, time_zone),
        },
        details=[],
        links=list(_account_links(session, message, person, reads, public_url, expires_at)),
        appointment=None,
    )


def _reader(person: Student | Instructor, is_named: bool = True) -> Party:
    if person.closed_at is not None:
        raise MailDiscarded("account_closed")
    return Party(person.name if is_named else "", person.email)


def _account_links(
    session: AsyncSession,
    message: OutboxMessage,
    person: Student | Instructor,
    reads: Language,
    public_url: str,
    expires_at: datetime,
) -> Iterator[tuple[str, str]]:
    """With a token for this mail. Only its hash is stored, so each attempt to send the mail creates another token."""
    token = secrets.token_urlsafe()
    match message.kind:
        case NotificationKind.PASSWORD_RESET:
            session.add(
                PasswordReset(
                    token_hash=token_hash(token),
                    person_id=person.id,
                    generation=message.facts["generation"],
                    expires_at=expires_at,
                )
            )
            yield reads.gettext("Choose a new password"), reset_url(public_url, token, reads.code)
        case NotificationKind.ADDRESS_VERIFICATION:
            session.add(AddressVerification(token_hash=token_hash(token), student_id=person.id, expires_at=expires_at))
            yield reads.gettext("Confirm email address"), verification_url(public_url, token, reads.code)


def _about_booking(message: OutboxMessage, records: BookingRecords, public_url: str) -> MailContent:
    booking = records.booking
    people: tuple[Student | Instructor, ...] = (records.student, records.instructor)
    reader, other = people if message.recipient_role is Recipient.STUDENT else reversed(people)
    reads, time_zone = language(reader.language), zone(reader.time_zone)
    say = reads.gettext
    price = Money(amount_minor=booking.price_minor, currency=booking.currency)
    return MailContent(
        notification=message.kind,
        language=reads,
        reader=_reader(reader),
        variables={
            "to_student": message.recipient_role is Recipient.STUDENT,
            "other": other.name,
            "title": booking.title,
            "start": reads.start(booking.starts_at, time_zone),
            "starts": reads.time(booking.starts_at, time_zone),
            "price": reads.money(price),
            **_booking_variables(message, records, reads, time_zone),
        },
        details=[
            (say("Session"), booking.title),
            (say("With"), other.name),
            (say("When"), reads.period(booking.starts_at, booking.ends_at, time_zone)),
            (say("Price"), reads.money(price)),
            *(
                [(say("Recording"), say("The instructor may record the session"))]
                if booking.is_recorded and message.kind in _MENTIONS_RECORDING
                else []
            ),
        ],
        links=list(_links(message, records, reads, public_url)),
        appointment=appointment(booking, records.session, other.name, reads, public_url)
        if records.session and message.kind in _CHANGES_CALENDARS
        else None,
    )


def _booking_variables(
    message: OutboxMessage, records: BookingRecords, reads: Language, time_zone: ZoneInfo
) -> dict[str, Any]:
    booking, payment, facts = records.booking, records.payment, message.facts
    reader = message.recipient_role
    assert reader is not None
    policy = BookingPolicy.model_validate(booking.policy)
    price = Money(amount_minor=booking.price_minor, currency=booking.currency)
    variables: dict[str, Any] = {
        "cancellation": cancellation_terms(reads, policy.cancellation),
        "absence": absence_terms(reads, price, policy),
        "settles_on_completion_timeout": policy.on_completion_timeout is CompletionTimeoutPolicy.SETTLE,
        "words_of_instructor": booking.rejection_reason,
        "is_reported_absent": facts.get("absent") == message.recipient_role,
        "outcome": templates.payment_outcome(reads, _outcome(payment) if payment else None, reader),
        "cancelled_at": reads.time(message.created_at, time_zone) if _is_late_cancellation(message, records) else None,
        "has_invitation": records.session is not None,
    }
    for name in ("until", "previous_starts_at", "proposed_starts_at"):
        if name in facts:
            variables[name] = reads.time(datetime.fromisoformat(facts[name]), time_zone)
    if "proposed_by" in facts:
        variables["is_proposer"] = facts["proposed_by"] == message.recipient_role
        variables["proposed_start"] = reads.start(datetime.fromisoformat(facts["proposed_starts_at"]), time_zone)
    if booking.next_deadline_at:
        variables["deadline"] = reads.time(booking.next_deadline_at, time_zone)
    if records.refund:
        variables |= _refund_variables(records.refund, reads)
    if "reason" in facts:
        codes = facts["decline_code"], facts.get("advice_code")
        variables["why"] = templates.unpaid_reason(reads, EndReason(facts["reason"]), *codes)
    if "by" in facts and booking.end_reason:
        by = Role(facts["by"])
        variables["happened"] = templates.closing_reason(reads, booking.end_reason, by, reader)
    return variables


def _is_late_cancellation(message: OutboxMessage, records: BookingRecords) -> bool:
    """Whether the reader is charged for their own cancellation, and should read why."""
    is_own = message.recipient_role is Recipient.STUDENT and message.facts.get("by") == Role.STUDENT
    was_charged = records.payment is not None and records.payment.captured_minor > 0
    return is_own and was_charged and records.booking.end_reason is EndReason.CANCELLED


def _refund_variables(refund: Refund, reads: Language) -> dict[str, Any]:
    def formatted(amount_minor: int) -> str:
        return reads.money(Money(amount_minor=amount_minor, currency=refund.currency))

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


def _links(
    message: OutboxMessage, records: BookingRecords, reads: Language, public_url: str
) -> Iterator[tuple[str, str]]:
    if message.kind in _HAS_JOIN_LINK and records.session is not None:
        yield reads.gettext("Join the session"), join_url(public_url, records.booking.id)
    if _has_receipt(message, records):
        yield reads.gettext("View receipt"), receipt_url(public_url, records.booking.id)
