"""Refunds made in Stripe's dashboard: by nobody we know, and perhaps without the platform's fee."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0022_refunds_at_stripe"
down_revision: str | Sequence[str] | None = "0021_password_resets"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_PARTS = "instructor_minor + platform_fee_minor + platform_loss_minor"


def upgrade() -> None:
    op.alter_column("refund", "ordered_by", existing_type=sa.Uuid(), nullable=True)
    parts = f"{_PARTS} = CASE WHEN status IN ('REQUESTED', 'RESERVED', 'REFUSED') THEN 0 ELSE amount_minor END"
    _replace("refund", "parts_are_the_amount", "parts_are_the_amount", parts)
    _replace("payment", "fee_is_part_of_capture", "fee_is_not_negative", "platform_fee_minor >= 0")
    _replace("live_session", "parts_are_not_negative", "fee_is_not_negative", "platform_fee_minor >= 0")


def downgrade() -> None:
    """What is written down stays: the stricter rules are for new rows."""
    parts = "platform_fee_minor >= 0 AND instructor_payout_minor >= 0"
    _replace("live_session", "fee_is_not_negative", "parts_are_not_negative", parts, for_new_rows=True)
    part = "platform_fee_minor BETWEEN 0 AND captured_minor"
    _replace("payment", "fee_is_not_negative", "fee_is_part_of_capture", part, for_new_rows=True)
    parts = f"{_PARTS} = CASE WHEN stripe_refund_id IS NULL THEN 0 ELSE amount_minor END"
    _replace("refund", "parts_are_the_amount", "parts_are_the_amount", parts, for_new_rows=True)
    op.execute("UPDATE refund SET ordered_by = '00000000-0000-0000-0000-000000000000' WHERE ordered_by IS NULL")
    op.alter_column("refund", "ordered_by", existing_type=sa.Uuid(), nullable=False)


def _replace(table: str, before: str, name: str, rule: str, *, for_new_rows: bool = False) -> None:
    op.drop_constraint(before, table)
    op.create_check_constraint(name, table, rule, postgresql_not_valid=for_new_rows)
