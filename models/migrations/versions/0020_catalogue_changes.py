"""Offerings and slots can be withdrawn, and a booking keeps its offering's title, which can change now.

Goes down only where no time was withdrawn and offered again.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0020_catalogue_changes"
down_revision: str | Sequence[str] | None = "0018_no_shows"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # A default of the database's own: the old code may still be running, and knows nothing of the column.
    op.add_column("offering", sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.text("true")))
    op.drop_index("ix_offering_created", "offering")
    op.create_index("ix_offering_created", "offering", ["created_at", "id"], postgresql_where=sa.text("is_active"))
    op.add_column("slot", sa.Column("withdrawn_at", sa.DateTime(timezone=True)))
    op.drop_index("uq_slot_offering_starts", "slot")
    op.create_index(
        "uq_slot_offering_starts",
        "slot",
        ["offering_id", "starts_at"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    _bookings_keep_their_title()


def downgrade() -> None:
    op.drop_column("booking_request", "title")
    op.drop_index("uq_slot_offering_starts", "slot")
    op.drop_column("slot", "withdrawn_at")
    op.create_index("uq_slot_offering_starts", "slot", ["offering_id", "starts_at"], unique=True)
    op.drop_index("ix_offering_created", "offering")
    op.drop_column("offering", "is_active")
    op.create_index("ix_offering_created", "offering", ["created_at", "id"])


def _bookings_keep_their_title() -> None:
    """No default: the old code's bookings fail, and are tried again until the new code writes them with their title."""
    op.add_column("booking_request", sa.Column("title", sa.String()))
    op.execute(
        "UPDATE booking_request SET title = offering.title FROM offering "
        "WHERE offering.id = booking_request.offering_id"
    )
    op.alter_column("booking_request", "title", nullable=False)
    # Mails that are still to be sent about bookings that are gone.
    op.execute(
        """
        UPDATE outbox_message SET facts = jsonb_set(facts, '{booking,title}', to_jsonb(offering.title)) FROM offering
        WHERE sent_at IS NULL AND facts ? 'booking' AND offering.id = (facts->'booking'->>'offering_id')::uuid
        """
    )
