"""Which events were taken, what reconciliations compared and found, and the indexes that keep them to what is new.

Words stand here as they were at this revision; a migration never imports what may change later.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0013_reconciliation"
down_revision: str | Sequence[str] | None = "0009_refunds"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_COUNTS = (
    "accounts_read", "events_read", "events_redelivered", "workflows_checked", "holds_released", "movements_read",
    "transactions_read", "bookings_compared", "balances_compared", "fees_booked", "drifts",
)  # fmt: skip


def upgrade() -> None:
    _taken_events()
    _reconciliations()
    _drifts()
    for name in ("events_until", "reconciled_at"):
        op.add_column("instructor", sa.Column(name, sa.DateTime(timezone=True)))
    op.create_index(
        "ix_instructor_reconciled",
        "instructor",
        [sa.text("reconciled_at NULLS FIRST")],
        postgresql_where=sa.text("stripe_account_id IS NOT NULL"),
    )
    op.create_index("ix_instructor_account_checked", "instructor", ["account_checked_at"])
    op.create_index(
        "ix_instructor_payout_open",
        "instructor_payout",
        ["instructor_id"],
        postgresql_where=sa.text("status IN ('PROCESSING', 'FAILED')"),
    )
    op.create_index(
        "ix_booking_request_open_deadline",
        "booking_request",
        ["next_deadline_at"],
        postgresql_where=sa.text("status IN ('PENDING', 'ACCEPTED')"),
    )
    op.create_index("ix_ledger_transaction_seq", "ledger_transaction", ["seq"])
    _subjects("booking", "person", "offering", "instructor", "reconciliation")


def downgrade() -> None:
    op.execute("ALTER TABLE audit_event DISABLE TRIGGER append_only")
    op.execute("DELETE FROM audit_event WHERE subject = 'reconciliation'")
    op.execute("ALTER TABLE audit_event ENABLE TRIGGER append_only")
    _subjects("booking", "person", "offering", "instructor")
    op.drop_index("ix_ledger_transaction_seq", "ledger_transaction")
    op.drop_index("ix_booking_request_open_deadline", "booking_request")
    op.drop_index("ix_instructor_payout_open", "instructor_payout")
    for name in ("account_checked", "reconciled"):
        op.drop_index(f"ix_instructor_{name}", "instructor")
    for name in ("reconciled_at", "events_until"):
        op.drop_column("instructor", name)
    for table in ("drift", "reconciliation", "taken_event"):
        op.drop_table(table)


def _taken_events() -> None:
    op.create_table(
        "taken_event",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("booking_id", sa.Uuid()),
        *_word("reception", "handed_on not_ours closed"),
        _time("at"),
    )
    op.create_index("ix_taken_event_at", "taken_event", ["at"])
    op.create_index("ix_taken_event_closed", "taken_event", ["at"], postgresql_where=sa.text("reception = 'closed'"))


def _reconciliations() -> None:
    op.create_table(
        "reconciliation",
        sa.Column("id", sa.Uuid(), primary_key=True),
        *_word("by_role", "student instructor operator platform"),
        sa.Column("by_id", sa.Uuid()),
        _time("started_at"),
        _time("finished_at", nullable=True),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _COUNTS),
        sa.Column("totals", postgresql.JSONB(), nullable=False),
        _time("events_until", nullable=True),
        sa.Column("ledger_seq", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_reconciliation_started", "reconciliation", ["started_at", "id"])
    op.create_index(
        "ix_reconciliation_finished",
        "reconciliation",
        ["finished_at"],
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )


def _drifts() -> None:
    op.create_table(
        "drift",
        sa.Column("id", sa.Uuid(), primary_key=True),
        *_word("kind", "booking balance unowned"),
        sa.Column("booking_id", sa.Uuid()),
        sa.Column("instructor_id", sa.Uuid()),
        *_word("book", "card_holds stripe_balance transfers connected_balance"),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("ledger_minor", sa.BigInteger(), nullable=False),
        sa.Column("stripe_minor", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("reconciliation_id", sa.Uuid(), sa.ForeignKey("reconciliation.id"), nullable=False),
        _time("found_at"),
        _time("seen_at"),
        _time("resolved_at", nullable=True),
        sa.CheckConstraint("num_nonnulls(booking_id, instructor_id) = 1", name="about_one"),
    )
    op.create_index("ix_drift_reconciliation_id", "drift", ["reconciliation_id"])
    op.create_index("ix_drift_found", "drift", ["found_at", "id"])
    op.create_index("ix_drift_open", "drift", ["found_at", "id"], postgresql_where=sa.text("resolved_at IS NULL"))


def _time(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _word(name: str, words: str) -> Sequence[sa.Column[object] | sa.CheckConstraint]:
    listed = ", ".join(f"'{word}'" for word in words.split())
    return (
        sa.Column(name, sa.String(24), nullable=False),
        sa.CheckConstraint(f"{name} IN ({listed})", name=f"{name}_is_known"),
    )


def _subjects(*subjects: str) -> None:
    op.drop_constraint("subject_is_known", "audit_event")
    listed = ", ".join(repr(subject) for subject in subjects)
    op.create_check_constraint("subject_is_known", "audit_event", f"subject IN ({listed})")
