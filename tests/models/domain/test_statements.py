"""A year's statement: its months, and the moment until which it counts."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from models.domain.money import Money
from models.domain.statements import Earnings, MonthlyEarnings, month_starts, statement, summed

BERLIN = ZoneInfo("Europe/Berlin")
END_OF_2026 = datetime(2026, 12, 31, 23, tzinfo=UTC)
"""Midnight in Berlin, in winter."""


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


def earned(month: int, net: int, paid_out: int, exchanged: int = 0, currency: str = "usd") -> MonthlyEarnings:
    amounts = {"net": net, "gross": net, "paid_out": paid_out, "exchanged": exchanged}
    money = {name: Money(amount_minor=minor, currency=currency) for name, minor in amounts.items()}
    earnings = Earnings.none(currency).model_copy(update=money | {"transactions": 1})
    return MonthlyEarnings(UUID(int=1), month, earnings)


@pytest.mark.parametrize(
    ("now", "as_of"),
    [
        (END_OF_2026 - timedelta(days=40), END_OF_2026 - timedelta(days=40)),
        (END_OF_2026, END_OF_2026),
        (END_OF_2026 + timedelta(days=40), END_OF_2026),
    ],
    ids=["during the year", "at its end", "after it"],
)
def test_a_statement_is_as_of_the_end_of_the_year_or_now(now: datetime, as_of: datetime) -> None:
    made = statement(2026, BERLIN, now, [])
    assert (made.as_of, made.year, made.time_zone, made.data) == (as_of, 2026, "Europe/Berlin", ())


def test_months_begin_at_midnight_where_the_instructor_is() -> None:
    starts = month_starts(2026, BERLIN)
    assert len(starts) == 13
    assert starts[0] == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert starts[6] == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert starts[12] == END_OF_2026


def test_what_is_owed_at_the_end_is_what_was_owed_before_and_earned_less_what_was_paid_out() -> None:
    months = [earned(0, 1_000, 300, 50), earned(3, 500, 200, -20), earned(12, 70, 10)]
    (dollars,) = statement(2026, BERLIN, END_OF_2026, months).data
    assert (dollars.opening, dollars.closing) == (usd(750), usd(750 + 500 - 20 - 200 + 70 - 10))
    assert (dollars.total.net, dollars.total.transactions) == (usd(570), 2)
    assert [each.month for each in dollars.months] == list(range(1, 13))
    assert [each.earnings.net for each in dollars.months if each.earnings.net] == [usd(500), usd(70)]


def test_each_currency_has_its_own_page_in_the_order_of_their_names() -> None:
    made = statement(2026, BERLIN, END_OF_2026, [earned(1, 1, 0, currency="usd"), earned(1, 2, 0, currency="eur")])
    assert [(each.currency, each.total.net.amount_minor) for each in made.data] == [("eur", 2), ("usd", 1)]


def test_a_sum_of_nothing_is_nothing() -> None:
    assert summed([], "usd") == Earnings.none("usd")
    assert Earnings.none("usd").transactions == 0
