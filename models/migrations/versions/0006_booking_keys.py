"""Idempotency keys, and proposals to hold a session at another time."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006_booking_keys"
down_revision: str | Sequence[str] | None = "0012_metrics"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("student_id", sa.Uuid(), sa.ForeignKey("student.id"), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("in_flight_until", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "reschedule_proposal",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("booking_id", sa.Uuid(), sa.ForeignKey("booking_request.id", ondelete="CASCADE"), nullable=False),
        sa.Column("slot_id", sa.Uuid(), sa.ForeignKey("slot.id"), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proposed_by", sa.String(24), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("proposed_by IN ('student', 'instructor')", name="proposed_by_is_known"),
        sa.CheckConstraint("status IN ('OPEN', 'ACCEPTED', 'DECLINED', 'WITHDRAWN')", name="status_is_known"),
    )
    op.create_index("ix_reschedule_proposal_booking_id", "reschedule_proposal", ["booking_id"])
    op.create_index(
        "uq_reschedule_proposal_open",
        "reschedule_proposal",
        ["booking_id"],
        unique=True,
        postgresql_where=sa.text("status = 'OPEN'"),
    )


def downgrade() -> None:
    op.drop_table("reschedule_proposal")
    op.drop_table("idempotency_key")
