"""Ids are deterministic, across calls and processes."""

import re
from uuid import UUID

from models.domain.ids import (
    audit_id,
    booking_id,
    customer_key,
    decision_id,
    message_id,
    notification_id,
    receipt_number,
    stripe_key,
    workflow_id,
)

ADA = UUID("00000000-0000-0000-0000-00000000000a")
BEA = UUID("00000000-0000-0000-0000-00000000000b")
STRIPE_MAX_KEY_LENGTH = 255


def test_booking_id_depends_on_student_and_key() -> None:
    assert booking_id(ADA, "k1") == booking_id(ADA, "k1")
    assert len({booking_id(student, key) for student in (ADA, BEA) for key in ("k1", "k2")}) == 4


def test_decision_id_depends_on_booking_person_decision_and_key() -> None:
    decisions = [
        decision_id(booking, person, decision, key)
        for booking in (ADA, BEA)
        for person in (ADA, BEA)
        for decision in ("Approve", "Cancel")
        for key in ("k1", "k2")
    ]
    assert len(set(decisions)) == 16


def test_stripe_key_depends_on_step_and_operator_round() -> None:
    assert workflow_id(ADA) == f"booking-{ADA}"
    assert stripe_key(ADA, "settle") == f"booking-{ADA}:settle"
    assert len({stripe_key(ADA, step, attempt) for step in ("settle", "release") for attempt in (0, 1, 2)}) == 6


def test_keys_fit_stripes_limit() -> None:
    assert len(stripe_key(ADA, "a_rather_long_name_for_a_step", 1_000)) <= STRIPE_MAX_KEY_LENGTH
    assert len(customer_key(ADA)) <= STRIPE_MAX_KEY_LENGTH


def test_audit_id_depends_on_booking_and_action() -> None:
    assert audit_id(ADA, "booking.accepted") == audit_id(ADA, "booking.accepted")
    assert len({audit_id(booking, action) for booking in (ADA, BEA) for action in ("accepted", "deleted")}) == 4


def test_stored_ids_do_not_change() -> None:
    """They are stored in databases, in Stripe's idempotency layer and in running workflows."""
    assert booking_id(ADA, "k1") == UUID("4a5b14b2-3925-5888-904d-01e2a2cc0bf7")
    assert decision_id(ADA, BEA, "Approve", "k1") == UUID("bb74b026-437f-574b-be79-6deac69f5f65")
    assert audit_id(ADA, "booking.accepted") == UUID("2b18e3aa-35fe-50c8-953e-06db777a1c3c")


def test_notification_id_depends_on_its_arguments_and_determines_the_message_id() -> None:
    first = notification_id(ADA, "approved", BEA)
    assert first == notification_id(ADA, "approved", BEA)
    others = [
        notification_id(BEA, "approved", BEA),
        notification_id(ADA, "rejected", BEA),
        notification_id(ADA, "approved", ADA),
        notification_id(ADA, "approved", BEA, "again"),
    ]
    assert len({first, *others}) == 5
    assert message_id(first, "holdfast.example") == f"<{first}@holdfast.example>"


def test_receipt_number_is_stable_and_legible() -> None:
    assert receipt_number(ADA) == receipt_number(ADA)
    assert receipt_number(ADA) != receipt_number(BEA)
    assert re.fullmatch(r"R(-[0-9A-HJKMNP-TV-Z]{4}){3}", receipt_number(ADA))
