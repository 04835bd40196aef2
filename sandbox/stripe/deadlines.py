"""The action of each kind of timer."""

from collections.abc import Callable

from sandbox.stripe import checkout_sessions, disputes, early_fraud_warnings, payment_flow, payouts, refund_records
from sandbox.stripe.context import Context

_ACTIONS: dict[str, Callable[[Context, str], None]] = {
    checkout_sessions.EXPIRE_SESSION: checkout_sessions.expire_when_due,
    disputes.CLOSE_INQUIRY: disputes.close_inquiry_when_due,
    disputes.LOSE_DISPUTE: disputes.lose_when_due,
    disputes.OPEN_DISPUTE: disputes.open_for_test_card,
    early_fraud_warnings.OPEN_WARNING: early_fraud_warnings.open_for_test_card,
    payment_flow.FINISH_DEBIT: checkout_sessions.finish_debit_when_due,
    payment_flow.POST_CHARGE: payment_flow.post_charge_when_due,
    payment_flow.EXPIRE_HOLD: payment_flow.expire_hold,
    payouts.ARRIVE_PAYOUT: payouts.arrive,
    payouts.PAY_OUT_DAILY: payouts.pay_out_daily,
    payouts.SEND_PAYOUT: payouts.send,
    refund_records.ARRIVE_REFUND: refund_records.arrive,
    refund_records.FAIL_REFUND: refund_records.fail_when_due,
    refund_records.GIVE_REFERENCE: refund_records.give_reference,
    refund_records.SEND_REFUND: refund_records.send_when_due,
}


def schedule_initial(context: Context) -> None:
    """Set the timers of a new sandbox."""
    if not context.timers.is_set(payouts.PAY_OUT_DAILY, "all"):
        with context.store.transaction():
            payouts.schedule_daily(context)


def run_due(context: Context) -> None:
    """Run all timers that are due, in order of time."""
    while (timer := context.timers.next_due(context.now())) is not None:
        with context.store.transaction():
            context.timers.clear(timer.action, timer.id)
            _ACTIONS[timer.action](context, timer.id)
