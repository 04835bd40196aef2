"""The evidence for a cardholder's bank: a booking's history, in the text fields of a Stripe dispute.

Stripe, API reference, "Update a dispute": at most 150,000 characters in all text fields together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from models.domain.attendance import Attendance
from models.domain.ids import receipt_number
from models.domain.money import Money
from models.domain.policy import BookingPolicy

_MAX_LINES = 200


@dataclass(frozen=True)
class TimelineEntry:
    """A row of the booking's audit trail or attendance, or a sent mail, as text."""

    at: datetime
    what: str


@dataclass(frozen=True)
class EvidenceInput:
    """Read and sent inside one activity: none of it may enter a workflow history."""

    booking: str
    title: str
    student_name: str = field(repr=False)
    student_email: str = field(repr=False)
    instructor_name: str = field(repr=False)
    starts_at: datetime
    ends_at: datetime
    price: Money
    kept: Money
    policy: BookingPolicy
    booked_at: datetime
    student_ip: str | None = field(default=None, repr=False)
    accepted_at: datetime | None = None
    attendance: Attendance | None = None
    """`None` if the meeting provider reported nothing."""
    timeline: Sequence[TimelineEntry] = ()


def evidence(facts: EvidenceInput) -> dict[str, str]:
    """The evidence, keyed by Stripe's field names."""
    texts = {
        "product_description": f"Live one-to-one session: {facts.title}, {_when(facts)}.",
        "customer_name": facts.student_name,
        "customer_email_address": facts.student_email,
        "customer_purchase_ip": facts.student_ip or "",
        "service_date": f"{facts.starts_at:%Y-%m-%d}",
        "cancellation_policy_disclosure": _disclosure(facts),
        "refund_policy_disclosure": _disclosure(facts),
        "access_activity_log": _log(facts.timeline),
        "uncategorized_text": _summary(facts),
    }
    return {name: text for name, text in texts.items() if text}


def _disclosure(facts: EvidenceInput) -> str:
    tiers = "; ".join(
        f"cancelled at least {tier.before} (hours:minutes:seconds, or days) before the start: "
        f"{tier.refund_bps // 100} % back"
        for tier in facts.policy.cancellation.tiers
    )
    return (
        f"Shown beside the price before paying, and again beside the pay button on Stripe Checkout. Policy "
        f'"{facts.policy.cancellation.name}": {tiers}; later: nothing. Accepted by booking and paying, at '
        f"{_utc(facts.accepted_at or facts.booked_at)}"
        f"{f' from IP address {facts.student_ip}' if facts.student_ip else ''}."
    )


def _summary(facts: EvidenceInput) -> str:
    return (
        f"Booking {facts.booking}: {facts.student_name} booked a live session with {facts.instructor_name} for "
        f"{facts.price.format()}, {_when(facts)}. The card was authorized when booking, and charged "
        f"{facts.kept.format()} only when the session was over (receipt {receipt_number(UUID(facts.booking))}). "
        f"{_presence(facts)}"
        f"What happened, as recorded at the time:\n"
        f"{_log(facts.timeline)}"
    )


def _presence(facts: EvidenceInput) -> str:
    if facts.attendance is None:
        return ""
    minutes = {
        who: int(time.total_seconds() // 60)
        for who, time in (
            ("student", facts.attendance.student.total),
            ("instructor", facts.attendance.instructor.total),
            ("both", facts.attendance.together),
        )
    }
    return (
        f"By the meeting's own reports the student was in it for {minutes['student']} minutes of the session's time, "
        f"the instructor for {minutes['instructor']}, both at once for {minutes['both']}. "
    )


def _log(timeline: Sequence[TimelineEntry]) -> str:
    return "\n".join(f"{_utc(each.at)}  {each.what}" for each in timeline[:_MAX_LINES])


def _when(facts: EvidenceInput) -> str:
    return f"from {_utc(facts.starts_at)} to {_utc(facts.ends_at)}"


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
