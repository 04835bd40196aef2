"""Deterministic ids: workflow ids, Stripe idempotency keys, UUIDv5 primary keys."""

from uuid import UUID, uuid5

# UUIDv5 namespaces. Stored ids are derived from them, so the values never change.
_BOOKINGS = UUID("5f0f7f3e-6b0c-5c43-9a5e-0d8f5f6c1f2b")
_PEOPLE = UUID("3d1f4b7a-90c4-5e0b-8a55-7c21e6b0d9f4")
_LEDGER = UUID("c1f5a7b2-5a0e-5b1c-9f63-0d2f6f3f7a55")
_REFUNDS = UUID("6a1d3c58-94b7-5f0e-8d2c-5b7e1f3a9c40")
_AUDIT = UUID("0b7c9c6e-2f1d-5d5e-8c57-6a2f6c2f3d11")
_NOTIFICATIONS = UUID("7c2f5d0e-8a41-5b6f-9c3e-1d4b7e90a652")
_DECISIONS = UUID("94d0b1f6-3c7e-5a28-b6d9-0e5c2f8a7b14")
_CREATIONS = UUID("1b8e6f52-7d3a-5c94-8e07-4f2a9d61c3b5")
_RECEIPTS = UUID("e2a9b7c4-3d16-5f08-8b2a-94c07d5e61f3")

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letters that are easily confused with digits or with each other."""


BOOKING_WORKFLOW = "booking-"
DISPUTE_WORKFLOW = "dispute-"
PAYOUT_WORKFLOW = "payout-"
REFUND_WORKFLOW = "refund-"
ONBOARDING_WORKFLOW = "onboarding-"
ATTENTION_WORKFLOW = "attention-"


def workflow_id(booking_id: UUID) -> str:
    return f"{BOOKING_WORKFLOW}{booking_id}"


def booking_id(student_id: UUID, idempotency_key: str) -> UUID:
    """The same student and key always give the same booking, so that a repeated request cannot book twice."""
    return uuid5(_BOOKINGS, f"{student_id}:{idempotency_key}")


def decision_id(booking_id: UUID, person_id: UUID, decision: str, idempotency_key: str) -> UUID:
    """Also the decision's update id: sent again by the same person with the same key, it is carried out once."""
    return uuid5(_DECISIONS, f"{booking_id}:{person_id}:{decision}:{idempotency_key}")


def creation_id(person_id: UUID, kind: str, idempotency_key: str) -> UUID:
    """The id of anything else that a person creates: sent again with the same key, the request creates it once."""
    return uuid5(_CREATIONS, f"{person_id}:{kind}:{idempotency_key}")


def stripe_key(booking_id: UUID, step: str, operator_round: int = 0) -> str:
    """The idempotency key of one mutating call: derived from booking and step, never from a run or an attempt.

    Stripe replays an error for as long as it keeps the key, so each retry ordered by an operator has its own key.
    """
    round_suffix = f":{operator_round}" if operator_round else ""
    return f"{workflow_id(booking_id)}:{step}{round_suffix}"


def person_id(issuer: str, subject: str) -> UUID:
    """The person whom an identity provider knows as `subject`. The issuer is a URL, so it contains no space."""
    return uuid5(_PEOPLE, f"{issuer} {subject}")


def onboarding_workflow_id(instructor_id: UUID) -> str:
    return f"{ONBOARDING_WORKFLOW}{instructor_id}"


def account_key(instructor_id: UUID, replaced: str | None = None) -> str:
    """`replaced` is the id of an account that is deleted or no longer connected."""
    return _replacing(f"instructor-{instructor_id}:create_account", replaced)


def link_key(instructor_id: UUID, update_id: str) -> str:
    """The idempotency key of one onboarding link. With a reused key, Stripe would return the earlier, used link."""
    return f"{onboarding_workflow_id(instructor_id)}:open_link:{update_id}"


def attention_workflow_id(booking_id: UUID) -> str:
    return f"{ATTENTION_WORKFLOW}{booking_id}"


def dispute_workflow_id(dispute_id: str) -> str:
    return f"{DISPUTE_WORKFLOW}{dispute_id}"


def dispute_key(dispute_id: str, step: str) -> str:
    return f"{dispute_workflow_id(dispute_id)}:{step}"


def payout_workflow_id(payout_id: str) -> str:
    return f"{PAYOUT_WORKFLOW}{payout_id}"


RECONCILIATION = "reconciliation"
ORPHAN_SWEEP = "orphan-sweep"
"""Prefix of a reconciliation's workflow id. The schedule appends a time to it."""


def stripe_task_queue(task_queue: str) -> str:
    """The task queue of the activities that call Stripe, beside that of the workflows."""
    return f"{task_queue}-stripe"


def ordered_reconciliation_id(task_queue: str) -> str:
    """The workflow id of a run started by an operator: one at a time per task queue, and therefore per database."""
    return f"{RECONCILIATION}-for-{task_queue}"


def drift_id(kind: str, subject: UUID, book: str, currency: str) -> UUID:
    """The same each time the difference is found."""
    return uuid5(_LEDGER, f"drift:{kind}:{subject}:{book}:{currency}")


def adjustment_workflow_id(subject: UUID | None, is_preview: bool) -> str:
    """One adjustment of a booking or of an instructor's balance at a time, beside its previews."""
    return f"adjustment-{'preview-' if is_preview else ''}{subject}"


def refund_id(booking_id: UUID, order: str) -> UUID:
    """The same order for the same booking always gives the same refund."""
    return uuid5(_REFUNDS, f"{booking_id}:{order}")


def external_refund_id(stripe_refund_id: str) -> UUID:
    """The id of a refund that was made at Stripe and not ordered here."""
    return uuid5(_REFUNDS, stripe_refund_id)


def fraud_refund_id(warning_id: str) -> UUID:
    """The id of the refund that an early fraud warning may lead to."""
    return uuid5(_REFUNDS, warning_id)


def refund_workflow_id(refund_id: UUID) -> str:
    return f"{REFUND_WORKFLOW}{refund_id}"


def refund_key(refund_id: UUID, tries: int) -> str:
    return f"{refund_workflow_id(refund_id)}:refund:{tries}"


def customer_key(student_id: UUID, replaced: str | None = None) -> str:
    """`replaced` is a deleted customer's id. Under the key that created it, Stripe would return the same id again."""
    return _replacing(f"student-{student_id}:create_customer", replaced)


def ledger_id(kind: str, subject: str) -> UUID:
    """The id of a ledger transaction. Each kind is posted once per subject: posting it twice stores it once."""
    return uuid5(_LEDGER, f"{kind}:{subject}")


def notification_id(booking_id: UUID, notification: str, recipient_id: UUID, occasion: str = "") -> UUID:
    """The id of a mail in the outbox: enqueueing it twice stores it once. Its Message-ID is derived from it."""
    return uuid5(_NOTIFICATIONS, f"{booking_id}:{notification}:{recipient_id}:{occasion}")


def payout_notification_id(payout_id: str, notification: str) -> UUID:
    """The same for a mail about a payout, which has only one recipient."""
    return uuid5(_NOTIFICATIONS, f"{payout_id}:{notification}")


def digest_id(previous: UUID | None) -> UUID:
    """The id of the operators' digest after another one."""
    return uuid5(_NOTIFICATIONS, f"operators:{previous or ''}")


def message_id(notification_id: UUID, domain: str) -> str:
    """The same for every attempt to send a mail, so that a second copy is recognized (RFC 5322, 3.6.4)."""
    return f"<{notification_id}@{domain}>"


_CALENDAR_DOMAIN = "@holdfast"


def calendar_uid(booking_id: UUID) -> str:
    """The same across all changes of the session, so that calendars find the event to update (RFC 5545, 3.8.4.7)."""
    return f"{booking_id}{_CALENDAR_DOMAIN}"


def is_calendar_uid(uid: str) -> bool:
    """Whether an event in somebody's calendar is a session of ours."""
    return uid.endswith(_CALENDAR_DOMAIN)


def audit_id(subject_id: UUID, action: str) -> UUID:
    """The id of an audit row. Each action is recorded once per subject: writing it twice stores it once."""
    return uuid5(_AUDIT, f"{subject_id}:{action}")


def receipt_number(booking_id: UUID) -> str:
    """Such as `R-7K3M-9QTX-2B4W`: the same each time a booking's receipt is drawn. It reveals nothing else."""
    number = uuid5(_RECEIPTS, str(booking_id)).int
    digits = "".join(_BASE32[number >> 5 * position & 31] for position in range(12))
    return f"R-{digits[:4]}-{digits[4:8]}-{digits[8:]}"


def _replacing(key: str, replaced: str | None) -> str:
    return key if replaced is None else f"{key}:after-{replaced}"
