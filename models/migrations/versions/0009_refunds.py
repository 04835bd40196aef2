"""Refunds after a booking's end, and what the platform bears of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from models.migrations.known_words import change_known_words

revision: str = "0009_refunds"
down_revision: str | Sequence[str] | None = "0010_payouts"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NOTICES = ("refunded", "refund_failed")
_PARTS = ("instructor_minor", "platform_fee_minor", "platform_loss_minor")


def upgrade() -> None:
    op.add_column("payment", sa.Column("platform_loss_minor", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_check_constraint("loss_is_not_negative", "payment", "platform_loss_minor >= 0")
    op.create_table(
        "refund",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("booking_id", sa.Uuid(), sa.ForeignKey("booking_request.id"), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("borne_by", sa.String(24), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("ordered_by", sa.Uuid(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("stripe_refund_id", sa.String(), unique=True),
        *(sa.Column(part, sa.BigInteger(), nullable=False) for part in _PARTS),
        sa.Column("failure_reason", sa.String()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('REQUESTED', 'RESERVED', 'PENDING', 'SUCCEEDED', 'FAILED', 'REFUSED')", name="status_is_known"
        ),
        sa.CheckConstraint("borne_by IN ('BOTH', 'PLATFORM')", name="borne_by_is_known"),
        sa.CheckConstraint("amount_minor > 0", name="amount_is_positive"),
        sa.CheckConstraint(" AND ".join(f"{part} >= 0" for part in _PARTS), name="parts_are_not_negative"),
        sa.CheckConstraint(
            f"{' + '.join(_PARTS)} = CASE WHEN stripe_refund_id IS NULL THEN 0 ELSE amount_minor END",
            name="parts_are_the_amount",
        ),
        sa.CheckConstraint("currency ~ '^[a-z]{3}$'", name="currency_is_a_code"),
    )
    op.create_index("ix_refund_booking_created", "refund", ["booking_id", "created_at"])
    op.create_index(
        "uq_refund_reserved", "refund", ["booking_id"], unique=True, postgresql_where=sa.text("status = 'RESERVED'")
    )
    change_known_words("outbox_message", "kind", added=_NOTICES)


def downgrade() -> None:
    change_known_words("outbox_message", "kind", removed=_NOTICES)
    op.drop_table("refund")
    op.drop_constraint("loss_is_not_negative", "payment")
    op.drop_column("payment", "platform_loss_minor")
