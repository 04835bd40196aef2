"""Which reports are due, at and around each threshold."""

from uuid import UUID

import pytest

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
        ({"eur": (1, 200_001)}, GOODS, True),
        ({"eur": (15, 100), "usd": (15, 100)}, GOODS, True),
        ({"eur": (1, 100), "usd": (1, 9_000_000)}, GOODS, None),
    ],
)
def test_dac7_is_due_at_either_threshold(
    by_currency: dict[str, tuple[int, int]], thresholds: Thresholds, is_due: bool | None
) -> None:
    assert filing(thresholds, **by_currency).is_dac7_due is is_due
