"""The ledger: double entry, append only, every transaction summing to zero per currency."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008_ledger"
down_revision: str | Sequence[str] | None = "0003_catalogue"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_KINDS = (
    "hold_placed", "hold_ended", "captured", "stripe_fee", "transferred", "refunded", "refund_sent", "refund_failed",
    "transfer_reversed", "paid_out", "payout_failed", "dispute_opened", "dispute_won", "dispute_lost",
)  # fmt: skip
_ACCOUNTS = (
    "card_holds", "student_funds_held", "stripe_balance", "connected_balance", "instructor_payable",
    "platform_revenue", "stripe_fees", "refunds", "disputes", "platform_losses",
)  # fmt: skip
_TABLES = ("ledger_transaction", "ledger_entry")


def upgrade() -> None:
    op.create_table(
        "ledger_transaction",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("booking_id", sa.Uuid()),
        sa.Column("instructor_id", sa.Uuid(), sa.ForeignKey("instructor.id"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.CheckConstraint(_one_of("kind", _KINDS), name="kind_is_known"),
    )
    op.create_index("ix_ledger_transaction_booking_seq", "ledger_transaction", ["booking_id", "seq"])
    op.create_index("ix_ledger_transaction_instructor_at", "ledger_transaction", ["instructor_id", "at"])
    op.create_index("ix_ledger_transaction_at", "ledger_transaction", ["at"])
    op.create_table(
        "ledger_entry",
        sa.Column("transaction_id", sa.Uuid(), sa.ForeignKey("ledger_transaction.id"), primary_key=True),
        sa.Column("line", sa.Integer(), primary_key=True),
        sa.Column("account", sa.String(24), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(_one_of("account", _ACCOUNTS), name="account_is_known"),
        sa.CheckConstraint("currency ~ '^[a-z]{3}$'", name="currency_is_a_code"),
        sa.CheckConstraint("amount_minor <> 0", name="entry_is_of_something"),
    )
    op.create_index("ix_ledger_entry_account_currency", "ledger_entry", ["account", "currency"])
    _it_balances()
    _it_is_append_only()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_unbalanced_ledger()")
    op.execute("DROP FUNCTION refuse_change_of_ledger()")


def _one_of(column: str, words: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(word) for word in words)})"


def _it_balances() -> None:
    """Looked at when the transaction is committed: its lines come one by one."""
    op.execute(
        """
        CREATE FUNCTION refuse_unbalanced_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            checked uuid := CASE TG_TABLE_NAME WHEN 'ledger_entry' THEN to_jsonb(NEW) ->> 'transaction_id'
                                               ELSE to_jsonb(NEW) ->> 'id' END;
        BEGIN
            IF NOT EXISTS (SELECT FROM ledger_entry WHERE transaction_id = checked) OR EXISTS (
                SELECT FROM ledger_entry WHERE transaction_id = checked GROUP BY currency HAVING sum(amount_minor) <> 0
            ) THEN
                RAISE EXCEPTION 'the ledger transaction % does not sum to zero', checked
                USING ERRCODE = 'check_violation';
            END IF;
            RETURN NULL;
        END
        $$
        """
    )
    for table in _TABLES:
        op.execute(
            f"""
            CREATE CONSTRAINT TRIGGER balances AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced_ledger()
            """
        )


def _it_is_append_only() -> None:
    op.execute(
        """
        CREATE FUNCTION refuse_change_of_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
        END
        $$
        """
    )
    for table in _TABLES:
        op.execute(
            f"""
            CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_ledger()
            """
        )
