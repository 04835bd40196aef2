"""An index for what is counted by the time of its booking."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012_metrics"
down_revision: str | Sequence[str] | None = "0011_disputes"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "ix_audit_event_reserved_at", "audit_event", ["at"], postgresql_where=sa.text("action = 'booking.reserved'")
    )


def downgrade() -> None:
    op.drop_index("ix_audit_event_reserved_at", "audit_event")
