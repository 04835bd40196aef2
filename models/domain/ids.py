"""Names that come out the same however often they are made: workflow ids, idempotency keys, record ids."""

from uuid import UUID, uuid5

_BOOKINGS = UUID("5f0f7f3e-6b0c-5c43-9a5e-0d8f5f6c1f2b")
_PEOPLE = UUID("3d1f4b7a-90c4-5e0b-8a55-7c21e6b0d9f4")
_LEDGER = UUID("c1f5a7b2-5a0e-5b1c-9f63-0d2f6f3f7a55")
_REFUNDS = UUID("6a1d3c58-94b7-5f0e-8d2c-5b7e1f3a9c40")
_AUDIT = UUID("0b7c9c6e-2f1d-5d5e-8c57-6a2f6c2f3d11")
_NOTICES = UUID("7c2f5d0e-8a41-5b6f-9c3e-1d4b7e90a652")
_RECEIPTS = UUID("e2a9b7c4-3d16-5f08-8b2a-94c07d5e61f3")

_LEGIBLE = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that looks like a digit, or like another when it is spelt out."""


BOOKING_WORKFLOW = "booking-"
DISPUTE_WORKFLOW = "dispute-"
PAYOUT_WORKFLOW = "payout-"
REFUND_WORKFLOW = "refund-"


def workflow_id(booking_id: UUID) -> str:
    return f"{BOOKING_WORKFLOW}{booking_id}"


def booking_id(student_id: UUID, idempotency_key: str) -> UUID:
    """The same student and key always mean the same booking, so that asking twice cannot book twice."""
    return uuid5(_BOOKINGS, f"{student_id}:{idempotency_key}")


def stripe_key(booking_id: UUID, step: str, operator_round: int = 0) -> str:
    """The idempotency key of one mutating call: from booking and step, never from a run or an attempt.

    Stripe replays a refusal for as long as it keeps its key, so a step that an operator orders anew is another step.
    """
    ordered_anew = f":{operator_round}" if operator_round else ""
    return f"{workflow_id(booking_id)}:{step}{ordered_anew}"


def person_id(issuer: str, subject: str) -> UUID:
    """Whom an identity provider knows as `subject`. A space stands in no issuer, which is a URL."""
    return uuid5(_PEOPLE, f"{issuer} {subject}")


def onboarding_workflow_id(instructor_id: UUID) -> str:
    return f"onboarding-{instructor_id}"


def account_key(instructor_id: UUID) -> str:
    return f"instructor-{instructor_id}:create_account"


def link_key(instructor_id: UUID, update_id: str) -> str:
    """Of one link: each that is asked for is a new one, and Stripe would replay a used one for the same key."""
    return f"{onboarding_workflow_id(instructor_id)}:open_link:{update_id}"


def dispute_workflow_id(dispute_id: str) -> str:
    return f"{DISPUTE_WORKFLOW}{dispute_id}"


def dispute_key(dispute_id: str, step: str) -> str:
    return f"{dispute_workflow_id(dispute_id)}:{step}"


def payout_workflow_id(payout_id: str) -> str:
    return f"{PAYOUT_WORKFLOW}{payout_id}"


RECONCILIATION = "reconciliation"
"""The beginning of a reconciliation's workflow id. The schedule's runs have a time behind it."""


def ordered_reconciliation_id(task_queue: str) -> str:
    """Of the run that an operator asks for: one at a time for those who share a queue, and so a database."""
    return f"{RECONCILIATION}-for-{task_queue}"


def drift_id(kind: str, subject: UUID, book: str, currency: str) -> UUID:
    """The same however often the difference is found."""
    return uuid5(_LEDGER, f"drift:{kind}:{subject}:{book}:{currency}")


def refund_id(booking_id: UUID, order: str) -> UUID:
    """The same order about the same booking is always the same refund."""
    return uuid5(_REFUNDS, f"{booking_id}:{order}")


def external_refund_id(stripe_refund_id: str) -> UUID:
    """Of a refund that was made at Stripe and not ordered here."""
    return uuid5(_REFUNDS, stripe_refund_id)


def refund_workflow_id(refund_id: UUID) -> str:
    return f"{REFUND_WORKFLOW}{refund_id}"


def refund_key(refund_id: UUID, tries: int) -> str:
    return f"{refund_workflow_id(refund_id)}:refund:{tries}"


def customer_key(student_id: UUID) -> str:
    return f"student-{student_id}:create_customer"


def ledger_id(kind: str, subject: str) -> UUID:
    """The id of the ledger's transaction of that kind about that subject: written twice, it is there once."""
    return uuid5(_LEDGER, f"{kind}:{subject}")


def notification_id(booking_id: UUID, notification: str, recipient_id: UUID, occasion: str = "") -> UUID:
    """The id of a mail in the outbox: one that is announced twice is there once. Its Message-ID is made of it."""
    return uuid5(_NOTICES, f"{booking_id}:{notification}:{recipient_id}:{occasion}")


def payout_notification_id(payout_id: str, notification: str) -> UUID:
    """The same for a mail about a payout, which has one reader."""
    return uuid5(_NOTICES, f"{payout_id}:{notification}")


def message_id(notification_id: UUID, domain: str) -> str:
    """The same however often a mail is sent, so that a second copy is known for what it is (RFC 5322, 3.6.4)."""
    return f"<{notification_id}@{domain}>"


def calendar_uid(booking_id: UUID) -> str:
    """The same over all changes of the session, by which calendars find what to update (RFC 5545, 3.8.4.7)."""
    return f"{booking_id}@holdfast"


def audit_id(subject_id: UUID, action: str) -> UUID:
    """The id of the audit row for an action that happens once to its subject: written twice, it is there once."""
    return uuid5(_AUDIT, f"{subject_id}:{action}")


def receipt_number(booking_id: UUID) -> str:
    """`R-7K3M-9QTX-2B4W`: a booking's receipt has one number, however often it is drawn. It tells nothing else."""
    number = uuid5(_RECEIPTS, str(booking_id)).int
    digits = "".join(_LEGIBLE[number >> 5 * place & 31] for place in range(12))
    return f"R-{digits[:4]}-{digits[4:8]}-{digits[8:]}"
