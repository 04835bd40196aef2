"""An instructor's year: what was earned and paid out, month by month, as JSON, CSV or PDF."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.http import content_negotiation
from api.http.auth import AsInstructor
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, declared
from api.http.rate_limits import DOCUMENTS, counted
from api.reports import queries
from api.settings import WithSettings
from models.documents.statement import draw
from models.domain.statements import Statement, month_starts, statement
from models.domain.zones import zone
from models.tables.people import Instructor

router = APIRouter(prefix="/v1/instructors/me/statements", tags=["instructors"])

Year = Annotated[int, Path(ge=2000, le=2100)]
_HEAD = ["month", "currency", "transactions", "gross", "refunds", "borne_by_platform", "fees", "net", "paid_out"]


@router.get(
    "/{year}",
    operation_id="getStatement",
    response_model=Statement,
    dependencies=[counted(DOCUMENTS)],
    responses=content_negotiation.representations("The statement.", content_negotiation.CSV, content_negotiation.PDF)
    | declared(
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
    settings: WithSettings,
    response: Response,
    accept: content_negotiation.Accept = "",
) -> Statement | Response:
    """Per currency and month of the caller's time zone: what students paid, what went back, the platform's fees, what
    was earned and what was paid out. `Accept` chooses between JSON, CSV (a row per month and currency) and PDF."""
    async with database.reading() as session:
        instructor = await session.get(Instructor, caller.id)
        if instructor is None:
            raise Problem(Kind.NO_ACCOUNT)
        where = zone(instructor.time_zone)
        earned = await queries.earned_by(session, instructor.id, month_starts(year, where))
    told = statement(year, where, datetime.now(UTC), earned)
    match content_negotiation.preferred(
        accept, [content_negotiation.JSON, content_negotiation.CSV, content_negotiation.PDF]
    ):
        case content_negotiation.CSV:
            return content_negotiation.attachment(_csv(told), content_negotiation.CSV, f"statement-{year}.csv")
        case content_negotiation.PDF:
            # Not in the event loop: it takes a processor for a good part of a second.
            drawn = await asyncio.to_thread(draw, told, instructor.name, settings.documents.issuer)
            return content_negotiation.attachment(drawn, content_negotiation.PDF, f"statement-{year}.pdf")
    response.headers["Vary"] = "Accept"
    return told


def _csv(told: Statement) -> bytes:
    return content_negotiation.csv_file(
        _HEAD,
        (
            [f"{told.year}-{each.month:02d}", part.currency, *(getattr(each.earnings, name) for name in _HEAD[2:])]
            for part in told.data
            for each in part.months
        ),
    )
