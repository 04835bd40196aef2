"""Which reports are due, at and around each threshold."""

from uuid import UUID

import pytest
from pydantic import ValidationError

from models.domain.money import Money
from models.domain.statements import Earnings, MonthlyEarnings
from models.domain.tax_reporting import Payee, TaxFiling, Thresholds, filings

INSTRUCTOR_ID = UUID(int=1)
GOODS = Thresholds(dac7_consideration_minor=200_000, dac7_activities=30)
"""DAC7's thresholds for sellers of goods."""


def filing(thresholds: Thresholds, **by_currency: tuple[int, int]) -> TaxFiling:
    """From (transactions, gross) by currency, all in one month and without fees."""
    earned = []
    for currency, (transactions, amount_minor) in by_currency.items():
        amount = Money(amount_minor=amount_minor, currency=currency)
        fields = {"transactions": transactions, "gross": amount, "net": amount}
        earned.append(MonthlyEarnings(INSTRUCTOR_ID, 3, Earnings.none(currency).model_copy(update=fields)))
    (found,) = filings(
        earned, {INSTRUCTOR_ID: Payee(id=INSTRUCTOR_ID, name="Nadia", stripe_account_id=None)}, thresholds
    )
    return found


@pytest.mark.parametrize(
    ("by_currency", "is_due"),
    [
        ({"usd": (201, 2_000_001)}, True),
        ({"usd": (201, 2_000_000)}, False),
        ({"usd": (200, 2_000_001)}, False),
        ({"usd": (199, 2_000_001)}, False),
        ({"usd": (1, 100), "eur": (200, 9_000_000)}, None),
        ({"usd": (1, 100), "eur": (199, 9_000_000)}, False),
        ({"usd": (150, 2_000_001), "eur": (51, 100)}, True),
        ({"jpy": (201, 100)}, None),
    ],
)
def test_form_1099k_is_due_above_both_thresholds(by_currency: dict[str, tuple[int, int]], is_due: bool | None) -> None:
    assert filing(Thresholds(), **by_currency).is_form_1099k_due is is_due


@pytest.mark.parametrize(
    ("by_currency", "thresholds", "is_due"),
    [
        ({"eur": (1, 100)}, Thresholds(), True),
        ({"eur": (0, -100)}, Thresholds(), False),
        ({"eur": (29, 200_000)}, GOODS, False),
        ({"eur": (30, 100)}, GOODS, True),
        ({"eur": (31, 100)}, GOODS, True),
        ({"eur": (1, 200_001)}, GOODS, True),
        ({"eur": (15, 100), "usd": (15, 100)}, GOODS, True),
        ({"eur": (1, 100), "usd": (1, 9_000_000)}, GOODS, None),
    ],
)
def test_dac7_is_due_at_either_threshold(
    by_currency: dict[str, tuple[int, int]], thresholds: Thresholds, is_due: bool | None
) -> None:
    assert filing(thresholds, **by_currency).is_dac7_due is is_due


def test_by_default_the_directives_and_the_irss_thresholds_hold() -> None:
    """DAC7 exempts sellers of goods only: one lesson is enough. A 1099-K is due above 20,000 USD and 200 payments."""
    assert filing(Thresholds(), eur=(1, 0)).is_dac7_due is True
    assert filing(Thresholds(), eur=(0, 0)).is_dac7_due is False
    assert filing(Thresholds(), eur=(0, 1)).is_dac7_due is True
    assert filing(Thresholds(), usd=(201, 2_000_001)).is_form_1099k_due is True


@pytest.mark.parametrize(
    ("threshold", "least"),
    [
        ("form_1099k_gross_minor", 0),
        ("form_1099k_transactions", 0),
        ("dac7_consideration_minor", 0),
        ("dac7_activities", 1),
    ],
)
def test_a_threshold_has_a_least(threshold: str, least: int) -> None:
    assert getattr(Thresholds.model_validate({threshold: least}), threshold) == least
    with pytest.raises(ValidationError):
        Thresholds.model_validate({threshold: least - 1})


def test_a_quarter_and_its_months_have_what_was_earned_in_them() -> None:
    def earned(month: int) -> MonthlyEarnings:
        amount = Money(amount_minor=10**month % 999_983, currency="eur")
        earnings = Earnings.none("eur").model_copy(update={"transactions": month, "gross": amount, "net": amount})
        return MonthlyEarnings(INSTRUCTOR_ID, month, earnings)

    payee = Payee(id=INSTRUCTOR_ID, name="Nadia", stripe_account_id=None)
    (found,) = filings([earned(month) for month in range(1, 13)], {INSTRUCTOR_ID: payee}, Thresholds())
    (of_euros,) = found.data
    assert [quarter.quarter for quarter in of_euros.quarters] == [1, 2, 3, 4]
    assert [quarter.earnings.transactions for quarter in of_euros.quarters] == [6, 15, 24, 33]
    months = [gross for quarter in of_euros.quarters for gross in quarter.gross_by_month]
    assert months == [earned(month).earnings.gross for month in range(1, 13)]
    assert of_euros.total.transactions == 78
