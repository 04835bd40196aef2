"""The catalogue: buffers around sessions that block too, text search, and an index for each listing; and bookings live.

Words and amounts stand here as they were at this revision; a migration never imports what may change later.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003_catalogue"
down_revision: str | Sequence[str] | None = "0002_people"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_HAVE_BUFFERS = ("offering", "booking_request")
_BUFFERS = ("buffer_before_minutes", "buffer_after_minutes")


def upgrade() -> None:
    _buffers()
    _buffers_block()
    _offerings_are_listed()
    _a_slot_is_offered_once()
    _audit_events_are_numbered()
    _audit_events_are_told()


def downgrade() -> None:
    op.execute("DROP TRIGGER told ON audit_event")
    op.execute("DROP FUNCTION tell_of_audit_event()")
    op.drop_index("ix_audit_event_booking_seq", "audit_event")
    op.drop_column("audit_event", "seq")
    op.drop_index("uq_slot_offering_starts", "slot")
    op.create_index("ix_slot_offering_starts", "slot", ["offering_id", "starts_at"])
    for index in ("search", "currency_price", "instructor_created", "created"):
        op.drop_index(f"ix_offering_{index}", "offering")
    op.create_index("ix_offering_instructor_id", "offering", ["instructor_id"])
    _no_double_booking("tstzrange(starts_at, ends_at)")
    op.execute("DROP FUNCTION blocked_range")
    for table in _HAVE_BUFFERS:
        for column in _BUFFERS:
            op.drop_column(table, column)


def _buffers() -> None:
    for table in _HAVE_BUFFERS:
        for column in _BUFFERS:
            op.add_column(table, sa.Column(column, sa.Integer(), nullable=False, server_default="0"))
            op.alter_column(table, column, server_default=None)
        op.create_check_constraint("buffers_are_not_negative", table, " >= 0 AND ".join(_BUFFERS) + " >= 0")


def _buffers_block() -> None:
    """Where a booking is moved or made, the range follows: there is no column to keep in step.

    `timestamptz - interval` depends on the session's time zone (a day is not always 24 hours), so an index cannot
    have it; on UTC's wall clock it depends on nothing.
    """
    op.execute(
        """
        CREATE FUNCTION blocked_range(
            starts_at timestamptz, ends_at timestamptz, before_minutes integer, after_minutes integer
        ) RETURNS tstzrange LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN tstzrange(
            (starts_at AT TIME ZONE 'UTC' - make_interval(mins => before_minutes)) AT TIME ZONE 'UTC',
            (ends_at AT TIME ZONE 'UTC' + make_interval(mins => after_minutes)) AT TIME ZONE 'UTC'
        )
        """
    )
    _no_double_booking("blocked_range(starts_at, ends_at, buffer_before_minutes, buffer_after_minutes)")


def _no_double_booking(time_range: str) -> None:
    op.execute("ALTER TABLE booking_request DROP CONSTRAINT no_double_booking")
    op.execute(
        f"""
        ALTER TABLE booking_request ADD CONSTRAINT no_double_booking EXCLUDE USING gist (
            uuidrange(instructor_id, instructor_id, '[]') WITH &&,
            {time_range} WITH &&
        ) WHERE (status IN ('PENDING', 'ACCEPTED'))
        """
    )


def _offerings_are_listed() -> None:
    op.drop_index("ix_offering_instructor_id", "offering")
    op.create_index("ix_offering_created", "offering", ["created_at", "id"])
    op.create_index("ix_offering_instructor_created", "offering", ["instructor_id", "created_at", "id"])
    op.create_index("ix_offering_currency_price", "offering", ["currency", "price_minor"])
    op.create_index(
        "ix_offering_search",
        "offering",
        [sa.text("to_tsvector('simple', (title || ' ') || description)")],
        postgresql_using="gin",
    )


def _a_slot_is_offered_once() -> None:
    op.drop_index("ix_slot_offering_starts", "slot")
    op.create_index("uq_slot_offering_starts", "slot", ["offering_id", "starts_at"], unique=True)


def _audit_events_are_numbered() -> None:
    """Rows of one booking are written under its lock, so that their numbers have the order of their commits."""
    op.add_column("audit_event", sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False))
    op.create_index("ix_audit_event_booking_seq", "audit_event", ["booking_id", "seq"])


def _audit_events_are_told() -> None:
    """Sent by Postgres at the commit: whoever hears of a row can read it."""
    op.execute(
        """
        CREATE FUNCTION tell_of_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('holdfast_booking', NEW.booking_id::text);
            RETURN NULL;
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER told AFTER INSERT ON audit_event
        FOR EACH ROW EXECUTE FUNCTION tell_of_audit_event()
        """
    )
