"""What each kind of deadline does when its time has come."""

from collections.abc import Callable

from sandbox.stripe import checkout_sessions, disputes, payment_flow, payouts, refund_records
from sandbox.stripe.context import Context

_ACTIONS: dict[str, Callable[[Context, str], None]] = {
    checkout_sessions.EXPIRE_SESSION: checkout_sessions.expire_by_time,
    disputes.LOSE_DISPUTE: disputes.lose_by_silence,
    disputes.OPEN_DISPUTE: disputes.open_by_card,
    payment_flow.BOOK_CHARGE: payment_flow.book_later,
    payment_flow.EXPIRE_HOLD: payment_flow.expire_hold,
    payouts.ARRIVE_PAYOUT: payouts.arrive,
    payouts.PAY_OUT_DAILY: payouts.pay_out_daily,
    payouts.SEND_PAYOUT: payouts.send,
    refund_records.ARRIVE_REFUND: refund_records.arrive,
    refund_records.RETURN_REFUND: refund_records.come_back,
}


def begin(context: Context) -> None:
    """Set the deadlines that a new sandbox has."""
    if not context.timers.is_set(payouts.PAY_OUT_DAILY, "all"):
        with context.store.transaction():
            payouts.arm(context)


def meet(context: Context) -> None:
    """Bring about everything that is due by now, in order of time."""
    while (timer := context.timers.next_due(context.now())) is not None:
        with context.store.transaction():
            context.timers.clear(timer.action, timer.id)
            _ACTIONS[timer.action](context, timer.id)
