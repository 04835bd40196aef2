"""Timers for what happens automatically: holds and sessions expire, payouts arrive."""

from dataclasses import dataclass

from sandbox.stripe.store import Store

_KIND = "sandbox.timer"


@dataclass(frozen=True)
class Timer:
    due: int
    action: str
    id: str


class Timers:
    """Timers on the sandbox's clock. They are part of the state and survive a restart."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set(self, action: str, id: str, due: int) -> None:
        body = {"action": action, "id": id, "due": due}
        self._store.put(_KIND, f"{action}:{id}", owner="", body=body)

    def clear(self, action: str, id: str) -> None:
        if self._store.find(_KIND, f"{action}:{id}"):
            self._store.remove(_KIND, f"{action}:{id}")

    def is_set(self, action: str, id: str) -> bool:
        return self._store.find(_KIND, f"{action}:{id}") is not None

    def next_due(self, now: int) -> Timer | None:
        """The earliest timer that is due, or None."""
        due = [record for record in self._store.scan(_KIND) if record.body["due"] <= now]
        if not due:
            return None
        first = min(due, key=lambda record: (record.body["due"], record.sequence))
        return Timer(first.body["due"], first.body["action"], first.body["id"])

    def first_before(self, moment: int) -> int | None:
        """The time of the earliest timer that is due at `moment` or before, or None."""
        return min(
            (record.body["due"] for record in self._store.scan(_KIND) if record.body["due"] <= moment), default=None
        )
