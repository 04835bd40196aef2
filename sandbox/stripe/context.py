"""The state that all operations share, and the context of one call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.stripe.clock import Clock
from sandbox.stripe.errors import no_such, not_modelled
from sandbox.stripe.events import Events
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.ledger import Ledger
from sandbox.stripe.store import Record, Store
from sandbox.stripe.timers import Timers

# The kinds whose 404 names the parameter `id`. Others name the path's.
_MISSING_BY_ID = frozenset({"charge", "customer"})


class Context:
    """The state of a sandbox. All changes go through it."""

    def __init__(
        self, views: Mapping[str, "View"], journal: Path | None = None, *, strict_version: bool = False
    ) -> None:
        self.strict_version = strict_version
        """Refuse other API versions. Otherwise they are answered in the shape of the pinned version."""
        self.store = Store(journal)
        self.clock = Clock(self.store)
        self.ledger = Ledger(self.store, self.clock)
        self.events = Events(self.store, self.clock)
        self.timers = Timers(self.store)
        self._views = views

    def now(self) -> int:
        return self.clock.now()

    def view(self, record: Record) -> JsonObject:
        """The object as the API returns it: the stored body, updated with fields that depend on the current time."""
        view = self._views.get(record.kind)
        return view(self, record) if view else record.body

    def emit(self, record: Record, type: str, previous_attributes: JsonObject | None = None) -> None:
        """Emit an event about an object, on the account that owns it."""
        self.events.emit(record.owner, type, self.view(record), previous_attributes)


View = Callable[[Context, Record], JsonObject]


@dataclass(frozen=True)
class Call:
    """A call of an operation: the account it acts on, and its parameters."""

    context: Context
    account: str
    params: JsonObject
    path: Mapping[str, str]
    base_url: str

    def from_path(self, kind: str, name: str) -> Record:
        """The object with the id in the path.

        Raises:
            StripeError: 404 `resource_missing`, also for another account's object.
        """
        return self.find(kind, self.path[name], "id" if kind in _MISSING_BY_ID else name, status=404)

    def find(self, kind: str, id: str, param: str, status: int = 400) -> Record:
        record = self.context.store.find(kind, id)
        if record is None or record.owner != self.account:
            raise no_such(kind, id, param, status=status)
        return record

    def reject_unmodelled(self, *names: str) -> None:
        """Reject parameters that Stripe supports and the sandbox does not model.

        Raises:
            StripeError: 400. This error is the sandbox's own, not Stripe's.
        """
        for name in names:
            if self.params.get(name):
                raise not_modelled(name)

    def pick(self, *names: str) -> JsonObject:
        """Those of the named parameters that were sent."""
        return {name: self.params[name] for name in names if name in self.params}


Operation = Callable[[Call], JsonObject]
