"""The sandbox's clock: real time plus an offset that tests advance."""

import time

from sandbox.stripe.store import Store

_KIND = "sandbox.clock"
_ID = "clock"


class Clock:
    """Unix timestamps for Stripe's objects. The offset is part of the state, so a restart keeps it.

    Webhook signatures and retries use real time instead, since the receiver compares it with its own clock.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def now(self) -> int:
        """The sandbox's time, in whole Unix seconds."""
        return int(time.time()) + self.offset_seconds

    @property
    def offset_seconds(self) -> int:
        record = self._store.find(_KIND, _ID)
        return int(record.body["offset_seconds"]) if record else 0

    def advance(self, seconds: int) -> int:
        """Advance the clock and return the new time.

        Raises:
            ValueError: `seconds` is negative. Going back would revive expired holds.
        """
        if seconds < 0:
            raise ValueError("the sandbox's clock only moves forward")
        body = {"id": _ID, "offset_seconds": self.offset_seconds + seconds}
        self._store.put(_KIND, _ID, owner="", body=body)
        return self.now()
