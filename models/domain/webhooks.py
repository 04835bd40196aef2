"""Outgoing webhooks, as the Standard Webhooks specification has them: events, signing secrets, retries, addresses."""

import base64
import hmac
import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from models.domain.actors import Role


class WebhookEvent(StrEnum):
    """Stable: receivers branch on it."""

    BOOKING_CREATED = "booking.created"
    BOOKING_ACCEPTED = "booking.accepted"
    BOOKING_REJECTED = "booking.rejected"
    BOOKING_EXPIRED = "booking.expired"
    BOOKING_CANCELLED = "booking.cancelled"
    BOOKING_COMPLETED = "booking.completed"
    BOOKING_NO_SHOW = "booking.no_show"
    BOOKING_DELETED = "booking.deleted"
    """It was never paid."""
    BOOKING_RESCHEDULE_PROPOSED = "booking.reschedule_proposed"
    BOOKING_RESCHEDULED = "booking.rescheduled"
    BOOKING_COMPLETION_REPORTED = "booking.completion_reported"
    BOOKING_NO_SHOW_REPORTED = "booking.no_show_reported"
    BOOKING_NEEDS_ATTENTION = "booking.needs_attention"
    PAYMENT_AUTHORIZED = "payment.authorized"
    PAYMENT_REFUNDED = "payment.refunded"
    PAYMENT_REFUND_FAILED = "payment.refund_failed"
    PAYOUT_PAID = "payout.paid"
    PAYOUT_FAILED = "payout.failed"
    DISPUTE_OPENED = "dispute.opened"
    DISPUTE_WON = "dispute.won"
    DISPUTE_LOST = "dispute.lost"
    DISPUTE_CLOSED = "dispute.closed"


_ACTIONS = {
    WebhookEvent.BOOKING_CREATED: "booking.reserved",
    WebhookEvent.PAYMENT_AUTHORIZED: "booking.authorized",
    WebhookEvent.PAYMENT_REFUNDED: "booking.refunded",
    WebhookEvent.PAYMENT_REFUND_FAILED: "booking.refund_failed",
    WebhookEvent.PAYOUT_PAID: "instructor.payout_paid",
    WebhookEvent.PAYOUT_FAILED: "instructor.payout_failed",
    WebhookEvent.DISPUTE_OPENED: "booking.dispute_opened",
    WebhookEvent.DISPUTE_WON: "booking.dispute_won",
    WebhookEvent.DISPUTE_LOST: "booking.dispute_lost",
    WebhookEvent.DISPUTE_CLOSED: "booking.dispute_closed",
}
ACTION_OF = {event: _ACTIONS.get(event, event.value) for event in WebhookEvent}
"""The audit trail's action that each event reports."""
EVENT_OF = {action: event for event, action in ACTION_OF.items()}


def payload(
    event: WebhookEvent,
    at: datetime,
    booking_id: UUID | None,
    instructor_id: UUID | None,
    by: Role,
    detail: dict[str, Any],
) -> dict[str, Any]:
    """The body of a message. It never changes, so a retry repeats it: ids, codes and amounts, nothing personal."""
    about = {"booking_id": str(booking_id)} if booking_id else {"instructor_id": str(instructor_id)}
    return {
        "type": event.value,
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "data": about | {"by": by.value} | detail,
    }


def signing_secret(key: str, endpoint_id: UUID, version: int) -> str:
    """An endpoint's secret, derived from the platform's key: what is stored does not reveal it."""
    derived = hmac.digest(key.encode(), f"holdfast webhook {endpoint_id}:{version}".encode(), "sha256")
    return f"whsec_{base64.b64encode(derived).decode()}"


def key_id(key: str) -> str:
    """Names a key without revealing it, so that an endpoint's secret stays the same while keys are rotated."""
    return hmac.digest(key.encode(), b"holdfast webhook key", "sha256")[:8].hex()


def key_named(keys: Iterable[str], id: str) -> str | None:
    return next((key for key in keys if key_id(key) == id), None)


SECRET_OVERLAP = timedelta(hours=24)
"""How long messages are signed with the previous secret as well, after a new one."""

RETRY_AFTER = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""The specification's schedule: ten attempts in three days."""


def next_attempt(attempts: int, now: datetime) -> datetime | None:
    """When to try again after `attempts` that failed; `None` to give up."""
    return now + RETRY_AFTER[attempts - 1] if attempts <= len(RETRY_AFTER) else None


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether a message may be sent to this IP address: not to a private network, this machine, or a cloud's metadata.

    An IPv6 address that stands for an IPv4 address is judged by that.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if parsed.teredo is not None:
            return False
    return parsed.is_global and not parsed.is_multicast
