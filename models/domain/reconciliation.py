"""The reconciliation's words: what is compared with what, and what is found. Ids, counts and amounts only."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from models.domain.actors import PLATFORM, Actor
from models.domain.base import Value
from models.domain.messages import PaymentRef
from models.domain.money import Money
from models.domain.terms import BookingTerms

STRIPE_KEEPS_EVENTS = timedelta(days=30)
OVERLAP = timedelta(hours=1)
"""How far each run reads back behind the last one: what was written down late is seen all the same."""
SEQUENCE_OVERLAP = 1_000
"""The same for the ledger's numbers: a transaction that commits late has a number from before."""
MOST_DIFFERENCES = 500
"""Told one by one; beyond that, the number says enough."""


class DriftKind(StrEnum):
    BOOKING = "booking"
    """A booking's money is not the same in two books."""
    BALANCE = "balance"
    """An instructor's balance is not."""
    ORPHANED = "orphaned"
    """A booking that no workflow carries on, and that cannot be ended by itself."""


class Book(StrEnum):
    """What is compared, each in the ledger and at Stripe."""

    CARD_HOLDS = "card_holds"
    """Authorized and not captured."""
    STRIPE_BALANCE = "stripe_balance"
    """What bookings have left on the platform's balance."""
    TRANSFERS = "transfers"
    """What bookings have brought to instructors' balances, payouts apart."""
    CONNECTED_BALANCE = "connected_balance"
    """What is on instructors' balances now."""


class Difference(Value):
    """An amount that two books do not have alike."""

    kind: DriftKind
    subject: UUID
    """A booking, or for a balance its instructor."""
    book: Book
    ledger: Money
    stripe: Money
    detail: str = ""

    @property
    def place(self) -> tuple[UUID, Book, str]:
        return self.subject, self.book, self.ledger.currency

    @property
    def booking_id(self) -> UUID | None:
        return None if self.kind is DriftKind.BALANCE else self.subject


class Total(Value):
    """What was compared in a book, added up."""

    book: Book
    ledger: Money
    stripe: Money


class ReconciliationOrder(Value):
    by: Actor = PLATFORM
    """The schedule's runs are the platform's own."""


class StartReconciliation(Value):
    id: UUID
    """Temporal's run id."""
    by: Actor
    at: datetime


class ReconciliationStarted(Value):
    """From where this run reads: where the last one that came to its end had got to, less the overlap."""

    id: UUID
    at: datetime
    events_since: datetime
    ledger_after: int
    workflows_since: datetime


class Redelivered(Value):
    accounts: int = 0
    read: int = 0
    redelivered: int = 0
    """Events that had never come."""
    newest_at: datetime | None = None
    """Of the platform's own events, by Stripe's clock."""


class OrphanedBooking(Value):
    """An open booking whose workflow was ended from outside."""

    terms: BookingTerms
    ref: PaymentRef
    is_accepted: bool


class Orphans(Value):
    workflows_checked: int
    bookings: tuple[OrphanedBooking, ...]
    looks_ordered: int
    """Disputes, refunds and payouts whose workflows were ended from outside and are started again."""


class Compared(Value):
    balance_transactions: int = 0
    """Balance transactions of the platform since the last run."""
    transactions: int = 0
    """The ledger's since then."""
    bookings: int = 0
    balances: int = 0
    """Of instructors."""
    fees_booked: int = 0
    """Fees that Stripe had not told yet when the charge was captured."""
    totals: tuple[Total, ...] = ()
    differences: tuple[Difference, ...] = ()
    ledger_seq: int = 0
    newest_at: datetime | None = None
    """Of the movements, by Stripe's clock."""


class FinishReconciliation(Value):
    started: ReconciliationStarted
    finished_at: datetime
    platform: Redelivered
    connected: Redelivered
    orphans: Orphans
    holds_released: int
    compared: Compared
    differences: tuple[Difference, ...]
    """Those that did not go away while the run lasted."""


class ReconciliationReport(Value):
    """What a run returns."""

    events_read: int
    events_redelivered: int
    holds_released: int
    bookings_compared: int
    drifts: int


def add_up(totals: tuple[Total, ...], more: list[Total]) -> tuple[Total, ...]:
    """By book and currency."""
    sums: dict[tuple[Book, str], Total] = {}
    for each in (*totals, *more):
        place = (each.book, each.ledger.currency)
        before = sums.get(place)
        sums[place] = (
            Total(book=each.book, ledger=before.ledger + each.ledger, stripe=before.stripe + each.stripe)
            if before
            else each
        )
    return tuple(sums[place] for place in sorted(sums))
