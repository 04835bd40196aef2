"""Disputes, and from where their students had accepted the policy."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011_disputes"
down_revision: str | Sequence[str] | None = "0008_ledger"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "dispute",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("booking_id", sa.Uuid(), sa.ForeignKey("booking_request.id"), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("is_inquiry", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        *(
            sa.Column(name, sa.DateTime(timezone=True))
            for name in ("respond_by", "taken_over_at", "answered_at", "closed_at")
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('NEEDS_RESPONSE', 'UNDER_REVIEW', 'WON', 'LOST', 'CLOSED')", name="status_is_known"
        ),
        sa.CheckConstraint("amount_minor > 0", name="amount_is_positive"),
        sa.CheckConstraint("currency ~ '^[a-z]{3}$'", name="currency_is_a_code"),
    )
    op.create_index("ix_dispute_booking_id", "dispute", ["booking_id"])
    op.create_index("ix_dispute_created", "dispute", ["created_at", "booking_id"])
    op.create_index(
        "ix_dispute_open", "dispute", ["created_at", "booking_id"], postgresql_where=sa.text("closed_at IS NULL")
    )
    op.create_table(
        "acceptance",
        sa.Column("booking_id", sa.Uuid(), primary_key=True),
        sa.Column("ip_address", sa.String(), nullable=False),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("acceptance")
    op.drop_table("dispute")
