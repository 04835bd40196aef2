"""The outbox of mails, and the number by which calendars tell a session's changes apart.

Words stand here as they were at this revision; a migration never imports what may change later.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0004_outbox"
down_revision: str | Sequence[str] | None = "0006_booking_keys"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_KINDS = """
    booking_received approved rejected expired unpaid cancelled completed no_show rescheduled
    reminder_a_day reminder_15_minutes completion_due
"""


def upgrade() -> None:
    op.create_table(
        "outbox_message",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        *_word("kind", _KINDS),
        *_word("recipient_role", "student instructor"),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        _time("due_at"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _time("next_attempt_at"),
        _time("sent_at", nullable=True),
        _time("gave_up_at", nullable=True),
        sa.Column("last_error", sa.String()),
        _time("created_at"),
        sa.CheckConstraint("sent_at IS NULL OR gave_up_at IS NULL", name="sent_or_given_up"),
    )
    op.create_index(
        "ix_outbox_message_open",
        "outbox_message",
        ["next_attempt_at"],
        postgresql_where=sa.text("sent_at IS NULL AND gave_up_at IS NULL"),
    )
    op.create_index("ix_outbox_message_booking_id", "outbox_message", ["booking_id"])
    # A default of the database's own: the old code may still be running, and knows nothing of the column.
    op.add_column(
        "live_session", sa.Column("calendar_sequence", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )


def downgrade() -> None:
    op.drop_column("live_session", "calendar_sequence")
    op.drop_table("outbox_message")


def _time(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _word(name: str, words: str) -> Sequence[sa.Column[object] | sa.CheckConstraint]:
    listed = ", ".join(f"'{word}'" for word in words.split())
    return (
        sa.Column(name, sa.String(24), nullable=False),
        sa.CheckConstraint(f"{name} IN ({listed})", name=f"{name}_is_known"),
    )
