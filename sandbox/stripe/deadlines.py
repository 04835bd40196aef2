"""What each kind of deadline does when its time has come."""

from collections.abc import Callable

from sandbox.stripe import checkout_sessions, disputes, payment_flow, payouts, refund_records
from sandbox.stripe.context import World

_ACTIONS: dict[str, Callable[[World, str], None]] = {
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


def begin(world: World) -> None:
    """Set the deadlines that a new sandbox has."""
    if not world.timers.is_set(payouts.PAY_OUT_DAILY, "all"):
        with world.store.transaction():
            payouts.arm(world)


def meet(world: World) -> None:
    """Bring about everything that is due by now, in order of time."""
    while (timer := world.timers.next_due(world.now())) is not None:
        with world.store.transaction():
            world.timers.clear(timer.action, timer.id)
            _ACTIONS[timer.action](world, timer.id)
