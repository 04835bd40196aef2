"""An instructor's yearly statement: earnings and payouts by month, as JSON, CSV or PDF."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.http import content_negotiation
from api.http.auth import AsInstructor
from api.http.database import WithDatabase
from api.http.documents import WithDocuments
from api.http.problems import Kind, Problem, problem_responses
from api.http.rate_limits import DOCUMENTS, limited_by
from api.reports import queries
from api.settings import WithSettings
from models.documents.statement import draw
from models.domain.statements import Earnings, Statement, month_starts, statement
from models.domain.zones import zone
from models.tables.people import Instructor

router = APIRouter(prefix="/v1/instructors/me/statements", tags=["instructors"])

Year = Annotated[int, Path(ge=2000, le=2100)]
_COLUMNS = ["month", "currency", *Earnings.model_fields]


@router.get(
    "/{year}",
    operation_id="getStatement",
    response_model=Statement,
    dependencies=[limited_by(DOCUMENTS)],
    responses=content_negotiation.representations("The statement.", content_negotiation.CSV, content_negotiation.PDF)
    | problem_responses(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NO_ACCOUNT,
        Kind.NOT_FOUND,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def get_statement(
    year: Year,
    caller: AsInstructor,
    database: WithDatabase,
    documents: WithDocuments,
    settings: WithSettings,
    response: Response,
    accept: content_negotiation.Accept = "",
) -> Statement | Response:
    """Payments, refunds, platform fees, earnings and payouts, per currency and month of the caller's time zone.
    `Accept` selects JSON, CSV (a row per month and currency) or PDF (in the caller's language)."""
    async with database.reading() as session:
        instructor = await session.get(Instructor, caller.id)
        if instructor is None:
            raise Problem(Kind.NO_ACCOUNT)
        time_zone = zone(instructor.time_zone)
        earned = await queries.earned_by(session, instructor.id, month_starts(year, time_zone))
    result = statement(year, time_zone, datetime.now(UTC), earned)
    match content_negotiation.preferred(
        accept, [content_negotiation.JSON, content_negotiation.CSV, content_negotiation.PDF]
    ):
        case content_negotiation.CSV:
            return content_negotiation.attachment(_csv(result), content_negotiation.CSV, f"statement-{year}.csv")
        case content_negotiation.PDF:
            name, code, issuer = instructor.name, instructor.language, settings.documents.issuer
            # The time of day is in the document, but it is not what makes a new one.
            values = (result.as_of.date(), result.model_copy(update={"as_of": None}), name, code, issuer)
            pdf = await documents.get(values, lambda: draw(result, name, issuer, code))
            return content_negotiation.attachment(pdf, content_negotiation.PDF, f"statement-{year}.pdf")
    response.headers["Vary"] = "Accept"
    return result


def _csv(result: Statement) -> bytes:
    return content_negotiation.csv_file(
        _COLUMNS,
        (
            [f"{result.year}-{each.month:02d}", part.currency, *(getattr(each.earnings, name) for name in _COLUMNS[2:])]
            for part in result.data
            for each in part.months
        ),
    )
