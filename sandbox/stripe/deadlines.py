"""What each kind of deadline does when its time has come."""

from collections.abc import Callable

from sandbox.stripe import checkout_sessions, payment_flow
from sandbox.stripe.world import World

_ACTIONS: dict[str, Callable[[World, str], None]] = {
    checkout_sessions.EXPIRE_SESSION: checkout_sessions.expire_by_time,
    payment_flow.EXPIRE_HOLD: payment_flow.expire_hold,
}


def meet(world: World) -> None:
    """Bring about everything that is due by now, in order of time."""
    while (timer := world.timers.next_due(world.now())) is not None:
        with world.store.transaction():
            world.timers.clear(timer.action, timer.id)
            _ACTIONS[timer.action](world, timer.id)
