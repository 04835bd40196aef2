"""The audit trail is of everything: an event is about a booking, or about something else that is named beside it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007_audit_of_everything"
down_revision: str | Sequence[str] | None = "0005_meeting"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # A default of the database's own: the old code may still be running, and writes of bookings alone. It also is what
    # the rows that are there get, which nothing can update.
    op.add_column("audit_event", sa.Column("subject", sa.String(24), nullable=False, server_default="booking"))
    op.create_check_constraint(
        "subject_is_known", "audit_event", "subject IN ('booking', 'person', 'offering', 'instructor')"
    )
    op.add_column("audit_event", sa.Column("subject_id", sa.Uuid()))
    op.alter_column("audit_event", "booking_id", nullable=True)
    op.create_check_constraint(
        "subject_is_named",
        "audit_event",
        "(subject = 'booking') = (booking_id IS NOT NULL) AND num_nonnulls(booking_id, subject_id) = 1",
    )
    op.create_index(
        "ix_audit_event_subject_seq",
        "audit_event",
        ["subject_id", "seq"],
        postgresql_where=sa.text("subject_id IS NOT NULL"),
    )
    _told("WHEN (NEW.booking_id IS NOT NULL)")


def downgrade() -> None:
    """The events that are about no booking are lost: without these columns they would be about nothing."""
    _told("")
    op.drop_index("ix_audit_event_subject_seq", "audit_event")
    op.drop_constraint("subject_is_named", "audit_event")
    op.execute("ALTER TABLE audit_event DISABLE TRIGGER append_only")
    op.execute("DELETE FROM audit_event WHERE booking_id IS NULL")
    op.execute("ALTER TABLE audit_event ENABLE TRIGGER append_only")
    op.alter_column("audit_event", "booking_id", nullable=False)
    op.drop_column("audit_event", "subject_id")
    op.drop_column("audit_event", "subject")


def _told(when: str) -> None:
    """Only bookings are followed live."""
    op.execute("DROP TRIGGER told ON audit_event")
    op.execute(
        f"""
        CREATE TRIGGER told AFTER INSERT ON audit_event
        FOR EACH ROW {when} EXECUTE FUNCTION tell_of_audit_event()
        """
    )
