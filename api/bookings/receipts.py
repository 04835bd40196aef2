"""The receipt of a booking as a PDF."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from api.bookings import queries
from api.http.auth import AsAnyRole
from api.http.content_negotiation import NAMED_FILE
from api.http.database import WithDatabase
from api.http.documents import WithDocuments
from api.http.problems import Kind, Problem, problem_responses
from api.http.rate_limits import DOCUMENTS, limited_by
from api.settings import WithSettings
from models import receipts
from models.documents.page import MEDIA_TYPE
from models.documents.receipt import FILE_NAME, Receipt, draw
from models.receipts import Line, Names
from models.tables.bookings import BookingRequest

router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["bookings"])

_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The receipt.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        "headers": NAMED_FILE,
    }
}


@router.get(
    "/receipt.pdf",
    operation_id="getReceipt",
    response_class=Response,
    dependencies=[limited_by(DOCUMENTS)],
    responses=_FILE
    | problem_responses(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NOT_FOUND,
        Kind.NOT_POSSIBLE_NOW,
        Kind.BOOKING_CLOSED,
        Kind.BOOKING_DELETED,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def get_receipt(
    booking_id: UUID, caller: AsAnyRole, database: WithDatabase, documents: WithDocuments, settings: WithSettings
) -> Response:
    """The receipt as a PDF, once the student is charged or a hold is over: what was held, paid and returned, and how it
    was divided.
    Everyone who may see it gets the same document, in the student's time zone. It changes only when money moves."""
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, caller)
        receipt = await receipt_of(session, record.request)
    if receipt is None:
        kind = Kind.BOOKING_CLOSED if record.is_closed else Kind.NOT_POSSIBLE_NOW
        raise Problem(
            kind, "There is a receipt once money was charged or a hold released.", booking_status=record.request.status
        )
    issuer = settings.documents.issuer
    file = await documents.get((receipt, issuer), lambda: draw(receipt, issuer))
    return Response(file, media_type=MEDIA_TYPE, headers={"Content-Disposition": f'attachment; filename="{FILE_NAME}"'})


async def receipt_of(session: AsyncSession, booking: BookingRequest) -> Receipt | None:
    """`None` while the payment is only authorized, or if there never was one."""
    names = Names(*(await session.exec(receipts.names_of(booking))).one())
    lines = (await session.exec(receipts.lines_of(booking.id))).all()
    return receipts.receipt(booking, names, (Line(*line) for line in lines))
