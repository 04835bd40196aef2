"""Reported no-shows, which the other side can contest."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

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
    _change_words("outbox_message", "kind", added=_NOTICES)
    _change_words("booking_request", "end_reason", added=_REASONS)


def downgrade() -> None:
    _change_words("booking_request", "end_reason", removed=_REASONS)
    _change_words("outbox_message", "kind", removed=_NOTICES)
    op.drop_table("no_show_report")


_CHANGE = r"""
    DO $$
    DECLARE
        words text;
    BEGIN
        SELECT string_agg(DISTINCT quote_literal(word), ', ') INTO words FROM (
            SELECT (regexp_matches(pg_get_constraintdef(oid), '''(\w+)''', 'g'))[1] AS word FROM pg_constraint
            WHERE conname = 'COLUMN_is_known' AND conrelid = 'TABLE'::regclass
            UNION SELECT unnest(ADDED)
        ) AS known WHERE word <> ALL (REMOVED);
        ALTER TABLE TABLE DROP CONSTRAINT COLUMN_is_known;
        EXECUTE 'ALTER TABLE TABLE ADD CONSTRAINT COLUMN_is_known CHECK (COLUMN IN (' || words || '))';
    END
    $$
"""
"""In the database itself, from the words that it knows: other migrations add to the same lists."""


def _change_words(table: str, column: str, added: Sequence[str] = (), removed: Sequence[str] = ()) -> None:
    statement = _CHANGE.replace("ALTER TABLE TABLE", f"ALTER TABLE {table}").replace("'TABLE'", f"'{table}'")
    statement = statement.replace("COLUMN", column)
    op.execute(statement.replace("ADDED", _array(added)).replace("REMOVED", _array(removed)))


def _array(words: Sequence[str]) -> str:
    return f"ARRAY[{', '.join(repr(word) for word in words)}]::text[]"
