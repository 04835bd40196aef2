"""Credentials to sign in with, and whether instructors can be paid."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002_people"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_INSTRUCTOR_COLUMNS = (
    "transfers",
    "requirements",
    "disabled_reason",
    "account_checked_at",
    "onboarding_url",
    "onboarding_url_expires_at",
)


def upgrade() -> None:
    op.create_table(
        "credential",
        sa.Column("email", sa.String(), primary_key=True),
        sa.Column("person_id", sa.Uuid(), nullable=False, unique=True),
        sa.Column("role", sa.String(24), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('student', 'instructor')", name="role_is_known"),
        sa.CheckConstraint("email = lower(email)", name="email_is_normalised"),
    )
    op.add_column("instructor", sa.Column("transfers", sa.String(24)))
    op.create_check_constraint("transfers_is_known", "instructor", "transfers IN ('active', 'pending', 'inactive')")
    # A default of the database's own: the old code may still be running, and knows nothing of the column.
    op.add_column(
        "instructor",
        sa.Column("requirements", postgresql.JSONB(), nullable=False, server_default=sa.text("'[]'::jsonb")),
    )
    op.add_column("instructor", sa.Column("disabled_reason", sa.String()))
    op.add_column("instructor", sa.Column("account_checked_at", sa.DateTime(timezone=True)))
    op.add_column("instructor", sa.Column("onboarding_url", sa.String()))
    op.add_column("instructor", sa.Column("onboarding_url_expires_at", sa.DateTime(timezone=True)))
    # They could be booked until now; the next look at Stripe says whether they still can.
    op.execute("UPDATE instructor SET transfers = 'active' WHERE stripe_account_id IS NOT NULL")


def downgrade() -> None:
    for column in reversed(_INSTRUCTOR_COLUMNS):
        op.drop_column("instructor", column)
    op.drop_table("credential")
