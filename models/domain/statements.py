"""What instructors have earned according to the ledger, as values: by month and currency, never a float."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import ConfigDict

from models.domain.base import Value
from models.domain.money import Money

MONTHS = range(1, 13)


class ReportModel(Value):
    """The docstrings of its fields become their descriptions in OpenAPI."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Earnings(ReportModel):
    """Earnings of a period, in one currency. `net` is `gross` less `refunds` and `fees`, plus `borne_by_platform`."""

    transactions: int
    """Payments captured in the period."""
    gross: Money
    """Captured from students in the period."""
    refunds: Money
    """Returned to students in the period, including lost disputes."""
    borne_by_platform: Money
    """The part of `refunds` that the platform bore beyond its fees."""
    fees: Money
    """The platform's fees, less those returned."""
    fee_tax: Money
    """The tax that `fees` include."""
    net: Money
    """What was earned."""
    exchanged: Money
    """What Stripe converted to this currency, less what it converted to another one, on the instructor's balance."""
    paid_out: Money
    """Paid out to the bank or on its way there, less what the bank returned."""

    @classmethod
    def none(cls, currency: str) -> Self:
        zero = Money(amount_minor=0, currency=currency)
        return cls(transactions=0, **{name: zero for name in cls.model_fields if name != "transactions"})

    def __add__(self, other: "Earnings") -> "Earnings":
        return Earnings(**{name: getattr(self, name) + getattr(other, name) for name in Earnings.model_fields})


class MonthlyEarnings(NamedTuple):
    """An instructor's month, according to the ledger. Month 0 is all the time before the year."""

    instructor_id: UUID
    month: int
    earnings: Earnings

    @property
    def currency(self) -> str:
        return self.earnings.gross.currency


class StatementMonth(ReportModel):
    month: int
    """1 to 12."""
    earnings: Earnings
    """What was earned and paid out in the month."""


class CurrencyStatement(ReportModel):
    currency: str
    """Three lower-case letters, as in ISO 4217."""
    opening: Money
    """Earned and not paid out when the year began."""
    months: tuple[StatementMonth, ...]
    """All twelve months."""
    total: Earnings
    """The whole year."""
    closing: Money
    """Earned and not paid out at the end of the year, or now if that is earlier."""


class Statement(ReportModel):
    year: int
    """The calendar year."""
    time_zone: str
    """The instructor's time zone, in which the months begin."""
    as_of: datetime
    """The end of the year, or now if that is earlier."""
    data: tuple[CurrencyStatement, ...]
    """One item per currency."""


def month_starts(year: int, where: ZoneInfo) -> list[datetime]:
    """The start of each month and the end of the year, in UTC."""
    starts = [datetime(year, month, 1, tzinfo=where) for month in MONTHS] + [datetime(year + 1, 1, 1, tzinfo=where)]
    return [start.astimezone(UTC) for start in starts]


def statement(year: int, where: ZoneInfo, now: datetime, earned: Iterable[MonthlyEarnings]) -> Statement:
    """The statement of one instructor. `earned` must not include anyone else's months."""
    by_currency: dict[str, dict[int, Earnings]] = {}
    for each in earned:
        by_currency.setdefault(each.currency, {})[each.month] = each.earnings
    return Statement(
        year=year,
        time_zone=where.key,
        as_of=min(now, month_starts(year, where)[-1]),
        data=tuple(_of_currency(currency, months) for currency, months in sorted(by_currency.items())),
    )


def summed(parts: Sequence[Earnings], currency: str) -> Earnings:
    return sum(parts, Earnings.none(currency))


def _of_currency(currency: str, by_month: dict[int, Earnings]) -> CurrencyStatement:
    none = Earnings.none(currency)
    before = by_month.get(0, none)
    total = summed([earnings for month, earnings in by_month.items() if month], currency)
    opening = before.net + before.exchanged - before.paid_out
    return CurrencyStatement(
        currency=currency,
        opening=opening,
        months=tuple(StatementMonth(month=month, earnings=by_month.get(month, none)) for month in MONTHS),
        total=total,
        closing=opening + total.net + total.exchanged - total.paid_out,
    )
