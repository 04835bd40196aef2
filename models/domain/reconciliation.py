"""The reconciliation's values: what is compared, and which differences are found. Ids, counts and amounts only."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from models.domain.actors import PLATFORM, Actor
from models.domain.base import Value
from models.domain.money import Money
from models.domain.payments import PaymentRef
from models.domain.states import BookingStatus, PaymentStatus
from models.domain.terms import BookingTerms

EVENT_RETENTION = timedelta(days=30)
OVERLAP = timedelta(hours=1)
"""How far each run reads back before the end of the last one, so that late records are still seen."""
SEQUENCE_OVERLAP = 1_000
"""The same for the ledger's sequence numbers: a transaction that commits late has an earlier number."""
MOST_DIFFERENCES = 500
"""The most differences that a run lists. It counts those beyond, and then resolves no drift, since it lists not all."""


class DriftKind(StrEnum):
    BOOKING = "booking"
    """A booking's amount differs between the ledger and Stripe."""
    BALANCE = "balance"
    """An instructor's balance differs."""
    ORPHANED = "orphaned"
    """An open booking without a running workflow that could not be ended automatically."""
    WORKFLOW = "workflow"
    """An open booking whose record and workflow differ, or a booking of which a workflow has failed."""
    INSTRUCTOR_WORKFLOW = "instructor_workflow"
    """An instructor of whom a workflow has failed."""


WAY_OUT: Mapping[DriftKind, str] = {
    DriftKind.BOOKING: "Adjust the ledger, once the booking has ended, or put it right at Stripe.",
    DriftKind.BALANCE: "Adjust the drifts of the instructor's bookings, then this one, or put it right at Stripe.",
    DriftKind.ORPHANED: "Refund or release the payment at Stripe. The next reconciliation then ends the booking.",
    DriftKind.WORKFLOW: "Terminate the workflow if it is open: the next reconciliation ends the booking as Stripe has "
    "it. Reset or delete one that has failed, once the cause is mended.",
    DriftKind.INSTRUCTOR_WORKFLOW: "Reset or delete the workflow, once the cause is mended.",
}
"""How an operator resolves a drift of each kind that does not resolve by itself."""

_OF_INSTRUCTORS = (DriftKind.BALANCE, DriftKind.INSTRUCTOR_WORKFLOW)

ATTENTION_PREFIX = "reconciliation: "
"""Marks the attention reasons that are set, and so cleared, by a reconciliation."""


class Book(StrEnum):
    """An amount that is compared between the ledger and Stripe."""

    CARD_HOLDS = "card_holds"
    """Authorized and not captured."""
    STRIPE_BALANCE = "stripe_balance"
    """What bookings have left in the platform's balance; in an adjustment of an instructor's balance, what transfers
    without a charge have taken from it."""
    TRANSFERS = "transfers"
    """What bookings have brought to instructors' balances, not counting payouts."""
    CONNECTED_BALANCE = "connected_balance"
    """The current balances of instructors."""


class Difference(Value):
    """An amount on which the ledger and Stripe disagree."""

    kind: DriftKind
    subject: UUID
    """A booking's id, or the instructor's."""
    book: Book
    ledger: Money
    stripe: Money
    detail: str = ""

    @property
    def place(self) -> tuple[UUID, Book, str]:
        return self.subject, self.book, self.ledger.currency

    @property
    def booking_id(self) -> UUID | None:
        return None if self.kind in _OF_INSTRUCTORS else self.subject


class Total(Value):
    """The sums of everything compared in one book and currency."""

    book: Book
    ledger: Money
    stripe: Money


class ReconciliationOrder(Value):
    by: Actor = PLATFORM
    """The platform for scheduled runs."""


class StartReconciliation(Value):
    id: UUID
    """Temporal's run id."""
    by: Actor
    at: datetime


class ReconciliationStarted(Value):
    """Where this run starts reading: where the last finished run stopped, less the overlap."""

    id: UUID
    at: datetime
    events_since: datetime
    ledger_after: int
    workflows_since: datetime


class RedeliveryResult(Value):
    accounts: int = 0
    read: int = 0
    redelivered: int = 0
    """Events that had never been received."""
    newest_at: datetime | None = None
    """Of the platform's own events, by Stripe's clock."""


class BookingExecution(Value):
    """An open Booking workflow, as its search attributes describe it."""

    booking_id: UUID
    booking_status: BookingStatus | None
    payment_status: PaymentStatus | None
    starts_at: datetime | None
    needs_attention: bool


class ExecutionComparison(Value):
    unattended: tuple[UUID, ...] = ()
    """Open bookings without a running workflow."""
    workflows_failed: int = 0
    """Workflows of any type whose latest run has failed."""
    differences: tuple[Difference, ...] = ()


class FindOrphans(Value):
    started: ReconciliationStarted
    unattended: tuple[UUID, ...] = ()


class SweepOrphans(Value):
    since: datetime
    """Only workflows that were ended since then are looked at."""


class SweepReport(Value):
    """The result of a sweep."""

    ended: int
    """Bookings whose workflow was ended from outside, and which have ended now."""
    stuck: int
    """Those that could not be ended. A reconciliation was started for them."""
    restarted: int
    """Workflows of refunds, disputes, payouts and onboardings that were restarted."""


class OrphanedBooking(Value):
    """An open booking whose workflow was ended from outside, e.g. terminated."""

    terms: BookingTerms
    ref: PaymentRef
    is_accepted: bool
    renewal_ref: PaymentRef | None = None
    """The page on which its student was asked to pay again."""


class Orphans(Value):
    workflows_checked: int
    bookings: tuple[OrphanedBooking, ...]
    workflows_restarted: int
    """Disputes, refunds, payouts and onboardings whose workflows were ended from outside and have been restarted."""


class ComparisonResult(Value):
    balance_transactions: int = 0
    """Balance transactions of the platform since the last run."""
    transactions: int = 0
    """Ledger transactions since the last run."""
    bookings: int = 0
    balances: int = 0
    """Instructors' balances."""
    fees_booked: int = 0
    """Stripe fees that were not known yet when the charge was captured."""
    totals: tuple[Total, ...] = ()
    differences: tuple[Difference, ...] = ()
    omitted: int = 0
    """Differences beyond `MOST_DIFFERENCES`."""
    ledger_seq: int = 0
    newest_at: datetime | None = None
    """Of the balance transactions, by Stripe's clock."""


class FinishReconciliation(Value):
    started: ReconciliationStarted
    finished_at: datetime
    platform: RedeliveryResult
    connected: RedeliveryResult
    orphans: Orphans
    holds_released: int
    compared: ComparisonResult
    differences: tuple[Difference, ...]
    """Those that persisted throughout the run."""
    workflows_failed: int = 0


class ReconciliationReport(Value):
    """The result of a run."""

    events_read: int
    events_redelivered: int
    holds_released: int
    bookings_compared: int
    drifts: int


def add_up(totals: tuple[Total, ...], more: list[Total]) -> tuple[Total, ...]:
    """The sums by book and currency."""
    sums: dict[tuple[Book, str], Total] = {}
    for each in (*totals, *more):
        key = (each.book, each.ledger.currency)
        before = sums.get(key)
        sums[key] = (
            Total(book=each.book, ledger=before.ledger + each.ledger, stripe=before.stripe + each.stripe)
            if before
            else each
        )
    return tuple(sums[key] for key in sorted(sums))
