"""What to report about instructors to the tax authorities, and for which of them: 1099-K (US), DAC7 (EU).

| report | due for whom | default |
| --- | --- | --- |
| 1099-K | gross above an amount and transactions above a number | 20,000 USD and 200 |
| DAC7 | at least a number of activities, or consideration above an amount | anyone with an activity |

1099-K: what a third party settlement organization reports, as reinstated in 2025 (IRS, "New 1099-K reporting
requirements for payment settlement entities"). DAC7: Directive (EU) 2021/514, annex V, section I, B(4)(d), excludes
those with fewer than 30 activities and at most 2,000 EUR from the sale of goods only; tutoring is a personal service.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated
from uuid import UUID

from pydantic import Field

from models.domain.money import Money
from models.domain.statements import Earnings, MonthlyEarnings, ReportModel, summed

QUARTERS = range(1, 5)
_FORM_1099K_CURRENCY, _DAC7_CURRENCY = "usd", "eur"


class Thresholds(ReportModel):
    form_1099k_gross_minor: int = Field(default=2_000_000, ge=0)
    """In US cents. A 1099-K is due if both this and the number of transactions are exceeded."""
    form_1099k_transactions: int = Field(default=200, ge=0)
    """Payments in all currencies. A 1099-K is due if both this and the gross amount are exceeded."""
    dac7_consideration_minor: int = Field(default=0, ge=0)
    """In euro cents. DAC7 reporting is due above this amount, or from the number of activities."""
    dac7_activities: int = Field(default=1, ge=1)
    """Payments in all currencies. DAC7 reporting is due from this number, or above the consideration."""


class Payee(ReportModel):
    id: UUID
    """The instructor's id."""
    name: str
    """The display name."""
    stripe_account_id: str | None
    """Stripe collected tax numbers, dates of birth and addresses with this account; Holdfast did not."""


class TaxFilingQuarter(ReportModel):
    quarter: int
    """1 to 4."""
    earnings: Earnings
    """DAC7: `net` is the consideration, `fees` the fees, `transactions` the number of activities."""
    gross_by_month: Annotated[tuple[Money, ...], Field(min_length=3, max_length=3)]
    """1099-K, boxes 5a to 5l."""


class CurrencyTaxFiling(ReportModel):
    currency: str
    """Three lower-case letters, as in ISO 4217."""
    total: Earnings
    """1099-K: box 1a is `gross`, which ignores refunds and fees; box 3 is `transactions`."""
    quarters: tuple[TaxFilingQuarter, ...]
    """All four quarters."""


class TaxFiling(ReportModel):
    instructor: Payee
    """The instructor."""
    is_form_1099k_due: bool | None
    """According to the thresholds. `null` if it depends on converting the other currencies."""
    is_dac7_due: bool | None
    """According to the thresholds. `null` if it depends on converting other currencies."""
    data: tuple[CurrencyTaxFiling, ...]
    """One item per currency."""


class TaxReport(ReportModel):
    year: int
    """The calendar year."""
    time_zone: str
    """The time zone in which the quarters begin."""
    thresholds: Thresholds
    """Above which amounts and numbers a report is due."""
    data: tuple[TaxFiling, ...]
    """One per instructor for whom payments were captured or returned in the year."""


def filings(
    earned: Iterable[MonthlyEarnings], payees: Mapping[UUID, Payee], thresholds: Thresholds
) -> tuple[TaxFiling, ...]:
    by_payee: dict[UUID, dict[str, dict[int, Earnings]]] = {}
    for each in earned:
        by_payee.setdefault(each.instructor_id, {}).setdefault(each.currency, {})[each.month] = each.earnings
    return tuple(_filing(payees[id], by_currency, thresholds) for id, by_currency in by_payee.items())


def _filing(payee: Payee, by_currency: dict[str, dict[int, Earnings]], thresholds: Thresholds) -> TaxFiling:
    data = tuple(_of_currency(currency, by_month) for currency, by_month in sorted(by_currency.items()))
    totals = {each.currency: each.total for each in data}
    return TaxFiling(
        instructor=payee,
        is_form_1099k_due=_is_form_1099k_due(totals, thresholds),
        is_dac7_due=_is_dac7_due(totals, thresholds),
        data=data,
    )


def _is_form_1099k_due(totals: dict[str, Earnings], thresholds: Thresholds) -> bool | None:
    if sum(total.transactions for total in totals.values()) <= thresholds.form_1099k_transactions:
        return False
    known = totals.get(_FORM_1099K_CURRENCY)
    if known is not None and known.gross.amount_minor > thresholds.form_1099k_gross_minor:
        return True
    return None if set(totals) - {_FORM_1099K_CURRENCY} else False


def _is_dac7_due(totals: dict[str, Earnings], thresholds: Thresholds) -> bool | None:
    if sum(total.transactions for total in totals.values()) >= thresholds.dac7_activities:
        return True
    known = totals.get(_DAC7_CURRENCY)
    if known is not None and known.net.amount_minor > thresholds.dac7_consideration_minor:
        return True
    return None if set(totals) - {_DAC7_CURRENCY} else False


def _of_currency(currency: str, by_month: dict[int, Earnings]) -> CurrencyTaxFiling:
    none = Earnings.none(currency)
    months = [by_month.get(month, none) for month in range(1, 13)]
    return CurrencyTaxFiling(
        currency=currency,
        total=summed(months, currency),
        quarters=tuple(_quarter(quarter, months[3 * quarter - 3 : 3 * quarter], currency) for quarter in QUARTERS),
    )


def _quarter(quarter: int, months: list[Earnings], currency: str) -> TaxFilingQuarter:
    gross = tuple(month.gross for month in months)
    return TaxFilingQuarter(quarter=quarter, earnings=summed(months, currency), gross_by_month=gross)
