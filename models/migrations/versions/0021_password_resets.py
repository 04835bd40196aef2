"""Tokens that set a new password, and the generation of each password, by which older tokens are told."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from models.migrations.known_words import change_known_words

revision: str = "0021_password_resets"
down_revision: str | Sequence[str] | None = "0020_catalogue_changes"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NOTICES = ("password_reset", "password_changed")
_ABOUT_NO_BOOKING = ("payout_paid", "payout_failed")


def upgrade() -> None:
    # A default of the database's own: the old code may still be running, and knows nothing of the column.
    op.add_column("credential", sa.Column("generation", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.create_table(
        "password_reset",
        sa.Column("token_hash", sa.String(), primary_key=True),
        sa.Column("person_id", sa.Uuid(), sa.ForeignKey("credential.person_id"), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_password_reset_person_id", "password_reset", ["person_id"])
    change_known_words("outbox_message", "kind", added=_NOTICES)
    _need_no_booking(*_ABOUT_NO_BOOKING, *_NOTICES)


def downgrade() -> None:
    op.execute("DELETE FROM outbox_message WHERE kind IN ('password_reset', 'password_changed')")
    _need_no_booking(*_ABOUT_NO_BOOKING)
    change_known_words("outbox_message", "kind", removed=_NOTICES)
    op.drop_table("password_reset")
    op.drop_column("credential", "generation")


def _need_no_booking(*kinds: str) -> None:
    op.drop_constraint("about_something", "outbox_message")
    listed = ", ".join(repr(kind) for kind in kinds)
    op.create_check_constraint("about_something", "outbox_message", f"booking_id IS NOT NULL OR kind IN ({listed})")
