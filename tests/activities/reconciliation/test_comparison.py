"""Stripe's fee of a charge that had no balance transaction yet when it was captured."""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.database import ledger
from activities.database.transactions import transaction
from activities.gateways import BalanceTransaction, ChargeBalances, EventSeen
from activities.reconciliation.comparison import ComparisonActivities
from models.domain import postings
from models.domain.conversions import Conversion
from models.domain.money import Money
from models.domain.policy import split
from models.domain.reconciliation import Book, ReconciliationStarted
from tests.activities.bookings import NOW, Bookings


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


class OneCharge:
    """Stripe with one charge, whose fee is known by now."""

    def __init__(self, fee: Money) -> None:
        self._fee = fee

    async def events(self, account_id: str | None, since: datetime) -> AsyncIterator[EventSeen]:
        return
        yield

    async def balance_transactions(self, since: datetime) -> AsyncIterator[BalanceTransaction]:
        return
        yield

    async def of_charge(self, charge_id: str, currency: str) -> ChargeBalances:
        converted = self._fee.currency != currency
        return ChargeBalances(
            held=usd(0),
            platform=usd(2_000) if converted else usd(2_000) - self._fee,
            connected=usd(8_000),
            fee=self._fee,
            in_other_currencies=(-self._fee,) if converted else (),
        )

    async def settled_on_platform(self, charge_id: str) -> Money:
        """10.00 USD are 9.20 EUR."""
        return Money(amount_minor=1_840, currency="eur")

    async def settled_on_account(self, charge_id: str, account_id: str) -> Money | None:
        return None

    async def transferred_without_charge(self, account_id: str) -> dict[str, int]:
        return {}

    async def balance_of(self, account_id: str) -> dict[str, int]:
        return {}


@pytest.mark.parametrize("currency", ["usd", "eur"])
async def test_fee_is_posted_once_it_is_known_in_its_own_currency(bookings: Bookings, currency: str) -> None:
    terms = await bookings.accepted()
    parties = postings.parties_of(terms)
    async with transaction(bookings.engine) as session:
        kept = split(terms.price, terms.policy)
        await ledger.post(session, NOW, postings.hold_ended(terms), *postings.capture(parties, kept, None))
    fee = Money(amount_minor=294, currency=currency)
    comparison = ComparisonActivities(bookings.engine, OneCharge(fee))
    started = ReconciliationStarted(id=uuid4(), at=NOW, events_since=NOW, ledger_after=0, workflows_since=NOW)
    for fees_booked in (1, 0):
        compared = await ActivityEnvironment().run(comparison.compare_books, started)
        assert (compared.fees_booked, compared.differences) == (fees_booked, ())
        platform = {
            total.ledger.currency: total.ledger.amount_minor
            for total in compared.totals
            if total.book is Book.STRIPE_BALANCE
        }
        assert platform == ({"usd": 2_000 - 294} if currency == "usd" else {"usd": 2_000, "eur": -294})


@pytest.mark.parametrize(("transferred", "seen"), [(7_354, 7_994), (7_350, 7_990)], ids=["as converted", "less"])
def test_converted_share_is_compared_as_booked_and_hides_no_drift(transferred: int, seen: int) -> None:
    """79.94 USD of 100.00 are 73.54 EUR of 92.00."""
    conversion = Conversion(charged=usd(10_000), settled=Money(amount_minor=9_200, currency="eur"))
    back = conversion.back(transferred)
    charge = ChargeBalances(
        held=usd(0),
        platform=usd(10_000) - back,
        connected=back,
        fee=None,
        conversion=conversion,
        settled_share_minor=transferred,
    ).as_booked(7_994)
    assert (charge.connected, charge.platform) == (usd(seen), usd(10_000 - seen))
