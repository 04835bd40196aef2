"""Meetings: whether a session is recorded, what their provider reported, and rooms in lower case.

Words and amounts stand here as they were at this revision; a migration never imports what may change later.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005_meeting"
down_revision: str | Sequence[str] | None = "0004_outbox"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_RECORDED = ("offering", "booking_request")


def upgrade() -> None:
    for table in _RECORDED:
        # A default of the database's own: the old code may still be running, and knows nothing of the column.
        op.add_column(table, sa.Column("is_recorded", sa.Boolean(), nullable=False, server_default=sa.false()))
    _attendance_events()
    _attendance_events_are_append_only()
    # Jitsi takes rooms as lower case and reports them so; with 24 random bytes they stay apart all the same.
    op.execute("UPDATE live_session SET room = lower(room)")


def downgrade() -> None:
    op.drop_table("attendance_event")
    op.execute("DROP FUNCTION refuse_change_of_attendance_event()")
    for table in _RECORDED:
        op.drop_column(table, "is_recorded")


def _attendance_events() -> None:
    op.create_table(
        "attendance_event",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("booking_id", sa.Uuid(), sa.ForeignKey("booking_request.id"), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("role", sa.String(24)),
        sa.Column("connection", sa.String()),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(24), nullable=False),
        sa.CheckConstraint("kind IN ('joined', 'left', 'recording_uploaded')", name="kind_is_known"),
        sa.CheckConstraint("role IN ('student', 'instructor')", name="role_is_known"),
        sa.CheckConstraint("source IN ('jitsi', 'jaas')", name="source_is_known"),
        sa.CheckConstraint("(role IS NULL) = (kind = 'recording_uploaded')", name="people_come_and_go"),
    )
    op.create_index("ix_attendance_event_booking_at", "attendance_event", ["booking_id", "at"])


def _attendance_events_are_append_only() -> None:
    op.execute(
        """
        CREATE FUNCTION refuse_change_of_attendance_event() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'attendance_event is append only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON attendance_event
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_attendance_event()
        """
    )
