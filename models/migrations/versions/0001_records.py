"""The records: people, catalogue, bookings with their sessions, payments and payouts, and the audit trail.

Words and amounts stand here as they were at this revision; a migration never imports what may change later.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TABLES = (
    "student", "instructor", "offering", "slot", "booking_request", "live_session", "payment", "instructor_payout",
    "audit_event",
)  # fmt: skip


def upgrade() -> None:
    _people()
    _catalogue()
    _booking_requests()
    _no_double_booking()
    _live_sessions()
    _payments()
    _payouts()
    _audit_events()
    _audit_events_are_append_only()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_change_of_audit_event()")
    op.execute("DROP TYPE uuidrange")


def _id(name: str = "id") -> sa.Column[object]:
    return sa.Column(name, sa.Uuid(), primary_key=True)


def _reference(to: str, unique: bool = False) -> sa.Column[object]:
    column = "booking_id" if to == "booking_request" else f"{to}_id"
    return sa.Column(column, sa.Uuid(), sa.ForeignKey(f"{to}.id"), nullable=False, unique=unique)


def _text(name: str, nullable: bool = False, unique: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.String(), nullable=nullable, unique=unique)


def _minor(name: str) -> sa.Column[object]:
    """An amount in minor units. 32 bits end at 21 million rupiah, which is an ordinary price."""
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _currency() -> Sequence[sa.Column[object] | sa.CheckConstraint]:
    return (
        sa.Column("currency", sa.String(3), nullable=False),
        sa.CheckConstraint("currency ~ '^[a-z]{3}$'", name="currency_is_a_code"),
    )


def _time(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _word(name: str, words: str, nullable: bool = False) -> Sequence[sa.Column[object] | sa.CheckConstraint]:
    """Text with a check: a new word is a new constraint, and no type to alter."""
    listed = ", ".join(f"'{word}'" for word in words.split())
    return (
        sa.Column(name, sa.String(24), nullable=nullable),
        sa.CheckConstraint(f"{name} IN ({listed})", name=f"{name}_is_known"),
    )


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, postgresql.JSONB(), nullable=False)


def _people() -> None:
    op.create_table(
        "student",
        _id(),
        _text("email", unique=True),
        _text("name"),
        _text("time_zone"),
        _text("stripe_customer_id", nullable=True, unique=True),
        _time("created_at"),
    )
    op.create_table(
        "instructor",
        _id(),
        _text("email", unique=True),
        _text("name"),
        _text("time_zone"),
        _text("stripe_account_id", nullable=True, unique=True),
        _time("created_at"),
    )


def _catalogue() -> None:
    op.create_table(
        "offering",
        _id(),
        _reference("instructor"),
        _text("title"),
        _text("description"),
        sa.Column("duration_minutes", sa.Integer(), nullable=False),
        _minor("price_minor"),
        *_currency(),
        _json("cancellation"),
        _time("created_at"),
        sa.CheckConstraint("duration_minutes > 0", name="duration_is_positive"),
        sa.CheckConstraint("price_minor > 0", name="price_is_positive"),
    )
    op.create_index("ix_offering_instructor_id", "offering", ["instructor_id"])
    op.create_table(
        "slot",
        _id(),
        _reference("offering"),
        _reference("instructor"),
        _time("starts_at"),
        _time("ends_at"),
        sa.CheckConstraint("ends_at > starts_at", name="ends_after_start"),
    )
    op.create_index("ix_slot_instructor_id", "slot", ["instructor_id"])
    op.create_index("ix_slot_offering_starts", "slot", ["offering_id", "starts_at"])


def _booking_requests() -> None:
    op.create_table(
        "booking_request",
        _id(),
        _reference("student"),
        _reference("instructor"),
        _reference("offering"),
        _reference("slot"),
        _time("starts_at"),
        _time("ends_at"),
        *_word("status", "PENDING ACCEPTED REJECTED CANCELLED EXPIRED COMPLETED NO_SHOW"),
        *_word("plan", "HOLD"),
        _minor("price_minor"),
        _minor("platform_fee_minor"),
        *_currency(),
        _json("policy"),
        _text("checkout_session_id", nullable=True, unique=True),
        _text("checkout_url", nullable=True),
        _time("next_deadline_at", nullable=True),
        *_word(
            "end_reason",
            "completed rejected approval_timeout checkout_expired card_declined hold_too_short checkout_refused"
            " cancelled student_absent instructor_absent completion_timeout settled_by_operator released_by_operator"
            " refunded_by_operator",
            nullable=True,
        ),
        _text("rejection_reason", nullable=True),
        sa.Column("needs_attention", sa.Boolean(), nullable=False),
        _text("attention_reason", nullable=True),
        _time("created_at"),
        _time("updated_at"),
        sa.CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        sa.CheckConstraint("price_minor > 0", name="price_is_positive"),
        sa.CheckConstraint("platform_fee_minor BETWEEN 0 AND price_minor", name="fee_is_part_of_price"),
    )
    for role in ("student", "instructor"):
        op.create_index(f"ix_booking_request_{role}_created", "booking_request", [f"{role}_id", "created_at", "id"])
    op.create_index("ix_booking_request_created", "booking_request", ["created_at", "id"])
    op.create_index("ix_booking_request_slot_id", "booking_request", ["slot_id"])
    op.create_index(
        "ix_booking_request_needs_attention",
        "booking_request",
        ["created_at", "id"],
        postgresql_where=sa.text("needs_attention"),
    )


def _no_double_booking() -> None:
    """GiST has no operator class for a plain uuid without btree_gist; a range of uuids needs no extension."""
    op.execute("CREATE TYPE uuidrange AS RANGE (subtype = uuid)")
    op.execute(
        """
        ALTER TABLE booking_request ADD CONSTRAINT no_double_booking EXCLUDE USING gist (
            uuidrange(instructor_id, instructor_id, '[]') WITH &&,
            tstzrange(starts_at, ends_at) WITH &&
        ) WHERE (status IN ('PENDING', 'ACCEPTED'))
        """
    )


def _live_sessions() -> None:
    op.create_table(
        "live_session",
        sa.Column("booking_id", sa.Uuid(), sa.ForeignKey("booking_request.id"), primary_key=True),
        *_word("status", "SCHEDULED COMPLETED NO_SHOW CANCELLED"),
        _text("room", unique=True),
        _minor("total_price_minor"),
        _minor("platform_fee_minor"),
        _minor("instructor_payout_minor"),
        *_currency(),
        _time("created_at"),
        _time("updated_at"),
        sa.CheckConstraint("platform_fee_minor >= 0 AND instructor_payout_minor >= 0", name="parts_are_not_negative"),
        sa.CheckConstraint(
            "platform_fee_minor + instructor_payout_minor <= total_price_minor", name="parts_are_of_the_price"
        ),
    )


def _payments() -> None:
    op.create_table(
        "payment",
        _id("booking_id"),
        *_word("plan", "HOLD"),
        *_word("status", "PENDING CAPTURED PARTIALLY_REFUNDED REFUNDED FAILED DISPUTED"),
        _minor("amount_minor"),
        _minor("captured_minor"),
        _minor("returned_minor"),
        _minor("platform_fee_minor"),
        *_currency(),
        _text("payment_intent_id", nullable=True, unique=True),
        _text("charge_id", nullable=True, unique=True),
        _time("hold_ends_at", nullable=True),
        _text("decline_code", nullable=True),
        _time("created_at"),
        _time("updated_at"),
        sa.CheckConstraint("amount_minor > 0", name="amount_is_positive"),
        sa.CheckConstraint("captured_minor >= 0 AND returned_minor >= 0", name="parts_are_not_negative"),
        sa.CheckConstraint("captured_minor + returned_minor <= amount_minor", name="parts_are_of_the_amount"),
        sa.CheckConstraint("platform_fee_minor BETWEEN 0 AND captured_minor", name="fee_is_part_of_capture"),
    )


def _payouts() -> None:
    op.create_table(
        "instructor_payout",
        _id(),
        _reference("booking_request", unique=True),
        _reference("instructor"),
        *_word("status", "PROCESSING PAID FAILED REVERSED"),
        _minor("amount_minor"),
        _minor("platform_fee_minor"),
        *_currency(),
        _text("stripe_payout_id", nullable=True),
        _text("failure_reason", nullable=True),
        _time("created_at"),
        _time("updated_at"),
        sa.CheckConstraint("amount_minor > 0", name="amount_is_positive"),
        sa.CheckConstraint("platform_fee_minor >= 0", name="fee_is_not_negative"),
    )
    op.create_index(
        "ix_instructor_payout_instructor_created", "instructor_payout", ["instructor_id", "created_at", "id"]
    )
    op.create_index("ix_instructor_payout_stripe_payout_id", "instructor_payout", ["stripe_payout_id"])


def _audit_events() -> None:
    op.create_table(
        "audit_event",
        _id(),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        _text("action"),
        *_word("actor_role", "student instructor operator platform"),
        sa.Column("actor_id", sa.Uuid()),
        _text("door"),
        _json("detail"),
        _time("at"),
    )
    op.create_index("ix_audit_event_booking_at", "audit_event", ["booking_id", "at"])


def _audit_events_are_append_only() -> None:
    op.execute(
        """
        CREATE FUNCTION refuse_change_of_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'audit_event is append only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_event()
        """
    )
