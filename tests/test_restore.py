"""`./run restore records` repeats every activity that writes to Postgres, and no other."""

from sqlalchemy.ext.asyncio import create_async_engine
from stripe import StripeClient

import restore
import worker
from activities.stripe.disputes import StripeDisputes
from activities.stripe.payments import StripeGateway
from activities.stripe.payouts import StripePayouts
from activities.stripe.refunds import StripeRefunds

_MOVE_OR_READ_MONEY = {
    "secure_payment", "look_up_payment", "settle_payment", "release_payment", "create_refund", "look_up_refund",
    "look_up_dispute", "submit_dispute_evidence", "accept_dispute", "reverse_disputed_transfer", "look_up_payout",
    "ensure_account", "open_onboarding_link", "look_up_account",
}  # fmt: skip
_READ_RECORDS = {"load_recorded_booking"}
_RUN_AGAIN = {
    "start_reconciliation", "finish_reconciliation", "redeliver_platform_events", "redeliver_account_events",
    "compare_executions", "compare_books", "compare_differences", "compare_booking", "compare_balance", "find_orphans",
    "find_new_orphans",
}  # fmt: skip
_FOUND_AGAIN = {"record_adjustment"}
"""The reconciliation finds the drift that it had resolved."""


def test_each_activity_is_repeated_or_need_not_be() -> None:
    client, engine = StripeClient("sk_test_unused"), create_async_engine("postgresql+psycopg://127.0.0.1:1/unused")
    repeated = restore.writes(
        engine, StripeGateway(client, ""), StripeDisputes(client), StripePayouts(client), StripeRefunds(client)
    )
    registered = {
        name
        for kind in vars(worker).values()
        if isinstance(kind, type) and kind.__module__.startswith("activities.")
        for name, value in vars(kind).items()
        if hasattr(value, "__temporal_activity_definition")
    }
    assert "reserve_slot" in registered
    assert registered - repeated.keys() == _MOVE_OR_READ_MONEY | _READ_RECORDS | _RUN_AGAIN | _FOUND_AGAIN
    assert repeated.keys() <= registered
