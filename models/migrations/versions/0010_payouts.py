"""When a share is expected at the bank and when it got there, and mails about payouts.

Words stand here as they were at this revision; a migration never imports what may change later.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010_payouts"
down_revision: str | Sequence[str] | None = "0007_audit_of_everything"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_KINDS = (
    "booking_received", "approved", "rejected", "expired", "unpaid", "cancelled", "completed", "no_show", "rescheduled",
    "reminder_a_day", "reminder_15_minutes", "completion_due",
)  # fmt: skip
_NEW_KINDS = ("payout_paid", "payout_failed")


def upgrade() -> None:
    for name in ("expected_at", "paid_at"):
        op.add_column("instructor_payout", sa.Column(name, sa.DateTime(timezone=True)))
    op.create_index("ix_instructor_payout_created", "instructor_payout", ["created_at", "id"])
    op.create_index(
        "ix_instructor_payout_failed",
        "instructor_payout",
        ["created_at", "id"],
        postgresql_where=sa.text("status = 'FAILED'"),
    )
    op.create_index(
        "ix_instructor_payout_paid_at",
        "instructor_payout",
        ["paid_at"],
        postgresql_where=sa.text("paid_at IS NOT NULL"),
    )
    op.create_index(
        "ix_ledger_transaction_clawback",
        "ledger_transaction",
        ["instructor_id"],
        postgresql_where=sa.text("kind = 'transfer_reversed'"),
    )
    op.alter_column("outbox_message", "booking_id", nullable=True)
    _allow_kinds(*_KINDS, *_NEW_KINDS)
    op.create_check_constraint("about_something", "outbox_message", f"booking_id IS NOT NULL OR {_one_of(_NEW_KINDS)}")


def downgrade() -> None:
    op.execute(f"DELETE FROM outbox_message WHERE {_one_of(_NEW_KINDS)}")  # noqa: S608
    op.drop_constraint("about_something", "outbox_message")
    _allow_kinds(*_KINDS)
    op.alter_column("outbox_message", "booking_id", nullable=False)
    op.drop_index("ix_ledger_transaction_clawback", "ledger_transaction")
    for name in ("created", "failed", "paid_at"):
        op.drop_index(f"ix_instructor_payout_{name}", "instructor_payout")
    for name in ("paid_at", "expected_at"):
        op.drop_column("instructor_payout", name)


def _allow_kinds(*kinds: str) -> None:
    op.drop_constraint("kind_is_known", "outbox_message")
    op.create_check_constraint("kind_is_known", "outbox_message", _one_of(kinds))


def _one_of(kinds: Sequence[str]) -> str:
    return f"kind IN ({', '.join(repr(kind) for kind in kinds)})"
