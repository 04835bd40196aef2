"""Mails about a booking, from its current records."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from activities.booking.payment_records import instructor_minor
from activities.mail import templates
from activities.mail.content import MailContent, reader_of
from activities.mail.templates import PaymentOutcome
from models.documents.terms import absence_terms, cancellation_terms
from models.domain.actors import Role
from models.domain.endings import EndReason
from models.domain.money import Money
from models.domain.notifications import BEFORE_THE_SESSION, NotificationKind, Recipient
from models.domain.policy import BookingPolicy, CompletionTimeoutPolicy, PaymentPlan
from models.domain.renewals import RenewalReason
from models.domain.zones import zone
from models.languages import Language, language
from models.session_calendar import appointment, join_url, receipt_url
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.outbox import OutboxMessage
from models.tables.payments import Payment, PaymentRenewal
from models.tables.people import Instructor, Student
from models.tables.refunds import Refund

_HAS_JOIN_LINK = frozenset({NotificationKind.APPROVED, NotificationKind.RESCHEDULED, *BEFORE_THE_SESSION})
_MENTIONS_RECORDING = _HAS_JOIN_LINK | {NotificationKind.BOOKING_RECEIVED}
_CHANGES_CALENDARS = frozenset({NotificationKind.APPROVED, NotificationKind.RESCHEDULED, NotificationKind.CANCELLED})
_ABOUT_RENEWALS = frozenset({NotificationKind.PAYMENT_RENEWAL, NotificationKind.PAYMENT_RENEWED})


@dataclass(frozen=True)
class BookingRecords:
    booking: BookingRequest
    student: Student
    instructor: Instructor
    session: LiveSession | None
    payment: Payment | None
    refund: Refund | None
    """The refund that the mail is about."""
    renewal: PaymentRenewal | None
    """The latest request to pay again."""


def has_receipt(message: OutboxMessage, records: BookingRecords) -> bool:
    is_closed = records.booking.end_reason is not None
    was_charged = records.payment is not None and records.payment.captured_minor > 0
    return is_closed and was_charged and message.recipient_role is Recipient.STUDENT


def about_booking(message: OutboxMessage, records: BookingRecords, public_url: str) -> MailContent:
    booking = records.booking
    people: tuple[Student | Instructor, ...] = (records.student, records.instructor)
    reader, other = people if message.recipient_role is Recipient.STUDENT else reversed(people)
    reads, time_zone = language(reader.language), zone(reader.time_zone)
    say = reads.gettext
    price = Money(amount_minor=booking.price_minor, currency=booking.currency)
    return MailContent(
        notification=message.kind,
        language=reads,
        reader=reader_of(reader),
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
    booking, payment, facts, role = records.booking, records.payment, message.facts, message.recipient_role
    assert role is not None
    policy = BookingPolicy.model_validate(booking.policy)
    price = Money(amount_minor=booking.price_minor, currency=booking.currency)
    variables: dict[str, Any] = {
        "cancellation": cancellation_terms(reads, policy.cancellation),
        "absence": absence_terms(reads, price, policy),
        "settles_on_completion_timeout": policy.on_completion_timeout is CompletionTimeoutPolicy.SETTLE,
        "words_of_instructor": booking.rejection_reason,
        "is_reported_absent": facts.get("absent") == role,
        "is_charge": booking.plan is PaymentPlan.CHARGE_THEN_TRANSFER,
        "outcome": templates.payment_outcome(reads, _outcome(records, payment) if payment else None, role),
        "cancelled_at": reads.time(message.created_at, time_zone) if _is_late_cancellation(message, records) else None,
        "has_invitation": records.session is not None,
    }
    for name in ("until", "previous_starts_at", "proposed_starts_at"):
        if name in facts:
            variables[name] = reads.time(datetime.fromisoformat(facts[name]), time_zone)
    if "proposed_by" in facts:
        variables["is_proposer"] = facts["proposed_by"] == role
        variables["proposed_start"] = reads.start(datetime.fromisoformat(facts["proposed_starts_at"]), time_zone)
    if booking.next_deadline_at:
        variables["deadline"] = reads.time(booking.next_deadline_at, time_zone)
    if records.refund:
        variables |= _refund_variables(records.refund, reads)
    if records.renewal and message.kind in _ABOUT_RENEWALS:
        variables |= _renewal_variables(records.renewal, reads, time_zone)
    if "reason" in facts:
        codes = facts["decline_code"], facts.get("advice_code")
        variables["why"] = templates.unpaid_reason(reads, EndReason(facts["reason"]), *codes)
    if "by" in facts and booking.end_reason:
        variables["happened"] = templates.closing_reason(reads, booking.end_reason, Role(facts["by"]), role)
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


def _renewal_variables(renewal: PaymentRenewal, reads: Language, time_zone: ZoneInfo) -> dict[str, Any]:
    amount = Money(amount_minor=renewal.amount_minor, currency=renewal.currency)
    return {
        "amount": reads.money(amount),
        "until": reads.time(renewal.pay_by, time_zone),
        "is_lapsed": renewal.reason is RenewalReason.HOLD_LAPSED,
        "is_final": renewal.is_final,
    }


def _outcome(records: BookingRecords, payment: Payment) -> PaymentOutcome:
    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=payment.currency)

    # Only what is due is paid again for a hold that had ended.
    charged_minor = records.renewal.amount_minor if records.renewal else payment.amount_minor
    return PaymentOutcome(
        price=money(payment.amount_minor),
        charged_before=money(charged_minor) if payment.plan is PaymentPlan.CHARGE_THEN_TRANSFER else None,
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
    is_asked = message.kind is NotificationKind.PAYMENT_RENEWAL and message.recipient_role is Recipient.STUDENT
    if is_asked and records.renewal and records.renewal.checkout_url:
        yield reads.gettext("Pay now"), records.renewal.checkout_url
    if has_receipt(message, records):
        yield reads.gettext("View receipt"), receipt_url(public_url, records.booking.id)
