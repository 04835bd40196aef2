"""Accounting reports for operators: yearly tax reporting and the monthly close."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.http import content_negotiation
from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.http.problems import Kind, problem_responses
from api.people.schemas import TimeZone
from api.reports import queries
from api.reports.statements import Year
from api.settings import WithSettings
from models.domain.month_close import MonthlyReport
from models.domain.statements import Earnings, month_starts
from models.domain.tax_reporting import TaxReport, filings
from models.domain.zones import zone

router = APIRouter(prefix="/v1/operator/reports", tags=["operator"])

_ERRORS = problem_responses(
    Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NOT_FOUND, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
)
Month = Annotated[str, Path(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", description="`2026-03`, in UTC.")]
_AMOUNTS = [name for name in Earnings.model_fields if name not in ("transactions", "exchanged", "paid_out")]
_TAX_COLUMNS = [
    *("instructor_id", "name", "stripe_account_id", "is_form_1099k_due", "is_dac7_due"),
    *("currency", "quarter", "transactions", *_AMOUNTS, "gross_month_1", "gross_month_2", "gross_month_3"),
]
_MONTH_COLUMNS = ["month", "currency", "account", "opening", "debits", "credits", "closing"]


@router.get(
    "/tax/{year}",
    operation_id="getTaxReport",
    response_model=TaxReport,
    responses=content_negotiation.representations("The report.", content_negotiation.CSV) | _ERRORS,
)
async def get_tax_report(
    year: Year,
    operator: AsOperator,
    database: WithDatabase,
    settings: WithSettings,
    response: Response,
    time_zone: Annotated[TimeZone, Query(description="The time zone in which quarters begin.")] = "UTC",
    accept: content_negotiation.Accept = "",
) -> TaxReport | Response:
    """Per instructor, currency and quarter: the figures for 1099-K and DAC7 filings, and whether the thresholds require
    one. `Accept` selects JSON or CSV (a row per instructor, currency and quarter)."""
    async with database.reading() as session:
        earned = await queries.earned_by_all(session, month_starts(year, zone(time_zone)))
        payees = await queries.payees(session, earned)
    thresholds = settings.thresholds
    report = TaxReport(year=year, time_zone=time_zone, thresholds=thresholds, data=filings(earned, payees, thresholds))
    if (
        content_negotiation.preferred(accept, [content_negotiation.JSON, content_negotiation.CSV])
        == content_negotiation.CSV
    ):
        return content_negotiation.attachment(_tax_csv(report), content_negotiation.CSV, f"tax-{year}.csv")
    response.headers["Vary"] = "Accept"
    return report


@router.get(
    "/{month}",
    operation_id="getMonthlyReport",
    response_model=MonthlyReport,
    responses=content_negotiation.representations("The report.", content_negotiation.CSV) | _ERRORS,
)
async def get_monthly_report(
    month: Month,
    operator: AsOperator,
    database: WithDatabase,
    response: Response,
    accept: content_negotiation.Accept = "",
) -> MonthlyReport | Response:
    """Per currency: opening balance, debits, credits and closing balance of every ledger account, transactions by kind,
    and the platform's earnings. `Accept` selects JSON or CSV (a row per currency and account)."""
    since = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    until = since.replace(year=since.year + since.month // 12, month=since.month % 12 + 1)
    async with database.reading() as session:
        report = MonthlyReport(month=month, data=await queries.monthly_report(session, since, until))
    if (
        content_negotiation.preferred(accept, [content_negotiation.JSON, content_negotiation.CSV])
        == content_negotiation.CSV
    ):
        return content_negotiation.attachment(_month_csv(report), content_negotiation.CSV, f"books-{month}.csv")
    response.headers["Vary"] = "Accept"
    return report


def _tax_csv(report: TaxReport) -> bytes:
    return content_negotiation.csv_file(
        _TAX_COLUMNS,
        (
            [
                *(filing.instructor.id, filing.instructor.name, filing.instructor.stripe_account_id),
                *(filing.is_form_1099k_due, filing.is_dac7_due),
                *(part.currency, f"{report.year}-Q{each.quarter}", each.earnings.transactions),
                *(getattr(each.earnings, name) for name in _AMOUNTS),
                *each.gross_by_month,
            ]
            for filing in report.data
            for part in filing.data
            for each in part.quarters
        ),
    )


def _month_csv(report: MonthlyReport) -> bytes:
    return content_negotiation.csv_file(
        _MONTH_COLUMNS,
        (
            [report.month, part.currency, each.account, each.opening, each.debits, each.credits, each.closing]
            for part in report.data
            for each in part.accounts
        ),
    )
