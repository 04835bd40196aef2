"""What a reconciliation adds up, and whom a difference is about."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from models.domain.money import Money
from models.domain.reconciliation import (
    EVENT_RETENTION,
    OVERLAP,
    Book,
    ComparisonResult,
    Difference,
    DriftKind,
    ExecutionComparison,
    RedeliveryResult,
    Total,
    add_up,
)

ID = UUID(int=1)


def total(book: Book, currency: str, ledger: int, stripe: int) -> Total:
    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=currency)

    return Total(book=book, ledger=money(ledger), stripe=money(stripe))


def test_totals_add_up_by_book_and_currency() -> None:
    holds, transfers = Book.CARD_HOLDS, Book.TRANSFERS
    before = add_up((), [total(transfers, "usd", 5, 7), total(holds, "usd", 1, 2), total(holds, "eur", 10, 20)])
    assert add_up(before, [total(holds, "usd", 3, 3), total(holds, "usd", 1, 1)]) == (
        total(holds, "eur", 10, 20),
        total(holds, "usd", 5, 6),
        total(transfers, "usd", 5, 7),
    )


def test_a_run_has_counted_nothing_before_it_begins() -> None:
    for result in (RedeliveryResult(), ComparisonResult(), ExecutionComparison()):
        assert not any(result.model_dump().values())


@pytest.mark.parametrize("kind", DriftKind)
def test_a_difference_is_about_a_booking_or_about_an_instructor(kind: DriftKind) -> None:
    none = Money(amount_minor=0, currency="usd")
    found = Difference(kind=kind, subject=ID, book=Book.TRANSFERS, ledger=none, stripe=none)
    of_instructors = {DriftKind.BALANCE, DriftKind.INSTRUCTOR_WORKFLOW}
    assert found.booking_id == (None if kind in of_instructors else ID)
    assert found.place == (ID, Book.TRANSFERS, "usd")


def test_events_are_read_as_long_as_stripe_lists_them_and_an_hour_twice() -> None:
    """Stripe, "List all events": those of the last 30 days."""
    now = datetime(2026, 3, 31, tzinfo=UTC)
    assert (now - EVENT_RETENTION).isoformat() == "2026-03-01T00:00:00+00:00"
    assert timedelta(minutes=60) == OVERLAP
