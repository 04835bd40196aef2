"""What instructors have earned, as the ledger has it, in values: by month and currency, never a float."""

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
    """What is said of its fields is said in OpenAPI, too."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Earnings(ReportModel):
    """Of a period and a currency. `net` is `gross` less `refunds` and `fees`, with `borne_by_platform`."""

    transactions: int
    """Payments taken in the period."""
    gross: Money
    """Taken from students in the period."""
    refunds: Money
    """Given back to students in the period, disputes that were lost included."""
    borne_by_platform: Money
    """What of that the platform paid, beyond its fees."""
    fees: Money
    """The platform's, less those that it gave back."""
    net: Money
    """What was earned."""
    paid_out: Money
    """On its way to the bank or there, less what came back."""

    @classmethod
    def none(cls, currency: str) -> Self:
        zero = Money(amount_minor=0, currency=currency)
        return cls(transactions=0, **{name: zero for name in cls.model_fields if name != "transactions"})

    def __add__(self, other: "Earnings") -> "Earnings":
        return Earnings(**{name: getattr(self, name) + getattr(other, name) for name in Earnings.model_fields})


class Earned(NamedTuple):
    """What the ledger says of an instructor's month. Month 0 is all the time before the year."""

    instructor_id: UUID
    month: int
    earnings: Earnings

    @property
    def currency(self) -> str:
        return self.earnings.gross.currency


class MonthOfStatement(ReportModel):
    month: int
    """From 1 on."""
    earnings: Earnings


class StatementOfCurrency(ReportModel):
    currency: str
    opening: Money
    """Earned and not paid out when the year began."""
    months: tuple[MonthOfStatement, ...]
    """All twelve."""
    total: Earnings
    closing: Money
    """Earned and not paid out at the end: of the year, or as of now."""


class Statement(ReportModel):
    year: int
    time_zone: str
    """In which the months begin: the instructor's."""
    as_of: datetime
    """The end of the year, or now."""
    data: tuple[StatementOfCurrency, ...]


def month_starts(year: int, where: ZoneInfo) -> list[datetime]:
    """When the year's months begin, and when it ends, in UTC."""
    starts = [datetime(year, month, 1, tzinfo=where) for month in MONTHS] + [datetime(year + 1, 1, 1, tzinfo=where)]
    return [start.astimezone(UTC) for start in starts]


def statement(year: int, where: ZoneInfo, now: datetime, earned: Iterable[Earned]) -> Statement:
    """Of one instructor's `earned`."""
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


def _of_currency(currency: str, by_month: dict[int, Earnings]) -> StatementOfCurrency:
    none = Earnings.none(currency)
    before = by_month.get(0, none)
    total = summed([earnings for month, earnings in by_month.items() if month], currency)
    opening = before.net - before.paid_out
    return StatementOfCurrency(
        currency=currency,
        opening=opening,
        months=tuple(MonthOfStatement(month=month, earnings=by_month.get(month, none)) for month in MONTHS),
        total=total,
        closing=opening + total.net - total.paid_out,
    )
