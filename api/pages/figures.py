"""For operators: the business in figures, over time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from fastapi import Response

from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.pages import charts
from api.pages.page import Page, WithPage, page_router
from api.reports import business_metrics
from api.reports.business_metrics import PeriodMetrics
from api.reports.business_metrics_query import Interval

router = page_router()

_SPANS = {Interval.DAY: timedelta(days=30), Interval.WEEK: timedelta(weeks=26), Interval.MONTH: timedelta(days=365)}


class Chart(NamedTuple):
    title: str
    columns: list[tuple[charts.Bar, str]]
    """Each with what it says."""


@router.get("/operator/figures")
async def figures(page: WithPage, operator: AsOperator, database: WithDatabase, interval: str = "day") -> Response:
    chosen = Interval(interval) if interval in list(Interval) else Interval.DAY
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    found = await business_metrics.read_business_metrics(
        operator, database, tomorrow - _SPANS[chosen], tomorrow, chosen, None, None
    )
    currencies = sorted({row.currency for row in found.data})
    by_currency = {each: [row for row in found.data if row.currency == each] for each in currencies}
    return page.show(
        "operator_figures.html",
        interval=chosen.value,
        currencies={currency: (rows, _charts(page, rows)) for currency, rows in by_currency.items()},
    )


def _charts(page: Page, rows: list[PeriodMetrics]) -> list[Chart]:
    money = page.language.money
    return [
        _chart(page, page.say("Charged"), rows, lambda row: (row.gross_volume.amount_minor, money(row.gross_volume))),
        _chart(
            page,
            page.say("The platform's fees"),
            rows,
            lambda row: (row.platform_revenue.amount_minor, money(row.platform_revenue)),
        ),
        _chart(page, page.say("Bookings"), rows, lambda row: (row.bookings, str(row.bookings))),
    ]


def _chart(
    page: Page, title: str, rows: list[PeriodMetrics], value: Callable[[PeriodMetrics], tuple[int, str]]
) -> Chart:
    values = [value(row) for row in rows]
    labels = [
        f"{page.language.calendar_day(row.period_starts_on)}: {text}"
        for row, (_, text) in zip(rows, values, strict=True)
    ]
    return Chart(title, list(zip(charts.columns([number for number, _ in values]), labels, strict=True)))
