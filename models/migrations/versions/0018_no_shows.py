"""Reported no-shows, which the other side can contest."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from models.migrations.known_words import change_known_words

revision: str = "0018_no_shows"
down_revision: str | Sequence[str] | None = "0013_reconciliation"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NOTICES = ("no_show_reported",)
_REASONS = ("no_show_refuted",)


def upgrade() -> None:
    op.create_table(
        "no_show_report",
        sa.Column("booking_id", sa.Uuid(), sa.ForeignKey("booking_request.id"), primary_key=True),
        sa.Column("absent", sa.String(24), nullable=False),
        sa.Column("reported_by", sa.String(24), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("contest_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("contested_at", sa.DateTime(timezone=True)),
        sa.Column("verdict", sa.String(24)),
        sa.CheckConstraint("absent IN ('student', 'instructor')", name="absent_is_known"),
        sa.CheckConstraint("reported_by IN ('student', 'instructor')", name="reported_by_is_known"),
        sa.CheckConstraint("reported_by <> absent", name="nobody_reports_themselves"),
        sa.CheckConstraint(
            "verdict IN ('BOTH_CAME', 'BORNE_OUT', 'REPORTER_ABSENT', 'UNCLEAR')", name="verdict_is_known"
        ),
        sa.CheckConstraint("(verdict IS NULL) = (contested_at IS NULL)", name="judged_when_contested"),
    )
    change_known_words("outbox_message", "kind", added=_NOTICES)
    change_known_words("booking_request", "end_reason", added=_REASONS)


def downgrade() -> None:
    change_known_words("booking_request", "end_reason", removed=_REASONS)
    change_known_words("outbox_message", "kind", removed=_NOTICES)
    op.drop_table("no_show_report")
