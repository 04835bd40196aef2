"""Disputes, for operators: listing them and deciding how to respond."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from sqlalchemy import tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from api.bookings.schemas import BookingNames
from api.http import pagination
from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.http.pagination import PageParams
from api.http.problems import Kind, Problem, problem_responses, unavailable
from api.http.schema_types import ResponseModel
from api.http.temporal import Closed, Timeouts, Unreachable, translate_errors
from models.domain.disputes import DisputeDecision, DisputeRefusal, DisputeResponse
from models.domain.ids import dispute_workflow_id
from models.domain.money import Money
from models.domain.states import DisputeStatus
from models.tables.bookings import BookingRequest
from models.tables.disputes import Dispute
from models.tables.people import Instructor, Student
from workflows.disputes import DisputeWorkflow


class DisputeClient:
    def __init__(self, client: Client, timeouts: Timeouts | None = None) -> None:
        self._client = client
        self._timeouts = timeouts or Timeouts()

    async def decide(self, dispute_id: str, decision: DisputeDecision) -> None:
        """Raises the 409 `Problem` if the dispute no longer needs a response."""
        handle = self._client.get_workflow_handle(dispute_workflow_id(dispute_id))
        async with translate_errors(self._timeouts.decision):
            try:
                await handle.execute_update(DisputeWorkflow.decide, decision, rpc_timeout=self._timeouts.decision)
            except WorkflowUpdateFailedError as error:
                cause = error.cause
                if isinstance(cause, ApplicationError) and cause.type == DisputeRefusal.NOT_OPEN:
                    raise Problem(Kind.NOT_POSSIBLE_NOW, cause.message) from error
                raise


async def _client(request: Request) -> DisputeClient:
    client: DisputeClient = request.app.state.disputes
    return client


WithDisputeClient = Annotated[DisputeClient, Depends(_client)]


router = APIRouter(prefix="/v1/operator/disputes", tags=["operator"])

DisputeId = Annotated[str, Path(max_length=255, pattern=r"^[\x21-\x7e]+$", description="Stripe's dispute id.")]

_CREATED_AT, _BOOKING_ID = col(Dispute.created_at), col(Dispute.booking_id)

_NAMED = (
    select(Dispute, BookingRequest.title, Student.name, Instructor.name)
    .join(BookingRequest, col(BookingRequest.id) == _BOOKING_ID)
    .join(Student, col(Student.id) == col(BookingRequest.student_id))
    .join(Instructor, col(Instructor.id) == col(BookingRequest.instructor_id))
)

_DECISION_ERRORS = problem_responses(
    Kind.NOT_SIGNED_IN,
    Kind.WRONG_ROLE,
    Kind.NOT_FOUND,
    Kind.NOT_POSSIBLE_NOW,
    Kind.REQUEST_INVALID,
    Kind.INTERNAL,
    Kind.UNAVAILABLE,
)


class DisputeDetails(BookingNames):
    id: str
    """Stripe's id of the dispute."""
    booking_id: UUID
    """The booking."""
    status: DisputeStatus
    """The dispute's state."""
    is_inquiry: bool
    """An inquiry: the bank requests information, and no money has been withdrawn yet."""
    reason: str
    """Stripe's reason code for the cardholder's claim."""
    amount: Money
    """What the cardholder disputes."""
    respond_by: datetime | None
    """Stripe's deadline. Evidence is submitted automatically two days before it, unless `taken_over_at` is set."""
    taken_over_at: datetime | None
    """When an operator took it over."""
    answered_at: datetime | None
    """When a response was submitted to the bank."""
    closed_at: datetime | None
    """When the bank decided."""
    created_at: datetime
    """When the dispute was opened."""


class DisputePage(ResponseModel):
    data: list[DisputeDetails]
    """The items of this page."""
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""


@router.get(
    "",
    operation_id="listDisputes",
    responses=problem_responses(
        Kind.CURSOR_UNKNOWN, Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)
async def list_disputes(
    operator: AsOperator,
    page: PageParams,
    database: WithDatabase,
    is_open: Annotated[bool | None, Query(alias="open", description="Only open disputes, or only closed ones.")] = None,
) -> DisputePage:
    """All disputes, newest first."""
    query = _NAMED.order_by(_CREATED_AT.desc(), _BOOKING_ID.desc()).limit(page.limit + 1)
    if is_open is not None:
        query = query.where(col(Dispute.closed_at).is_(None) if is_open else col(Dispute.closed_at).is_not(None))
    if page.after is not None:
        query = query.where(tuple_(_CREATED_AT, _BOOKING_ID) < (page.after.at, page.after.id))
    async with database.reading() as session:
        found = list(await session.exec(query))
    return DisputePage(
        data=[_details(*row) for row in found[: page.limit]],
        next_cursor=pagination.next_cursor(found, page.limit, lambda last: (last[0].created_at, last[0].booking_id)),
    )


@router.post("/{dispute_id}/take-over", operation_id="takeOverDispute", responses=_DECISION_ERRORS)
async def take_over(
    dispute_id: DisputeId, operator: AsOperator, database: WithDatabase, client: WithDisputeClient
) -> DisputeDetails:
    """Handle the dispute in Stripe's Dashboard. Evidence is no longer submitted automatically."""
    return await _decide(
        dispute_id, database, client, DisputeDecision(actor=operator.actor, answer=DisputeResponse.TAKEN_OVER)
    )


@router.post("/{dispute_id}/submit", operation_id="submitDisputeEvidence", responses=_DECISION_ERRORS)
async def submit(
    dispute_id: DisputeId, operator: AsOperator, database: WithDatabase, client: WithDisputeClient
) -> DisputeDetails:
    """Submit the evidence now. The bank accepts a single response."""
    return await _decide(
        dispute_id, database, client, DisputeDecision(actor=operator.actor, answer=DisputeResponse.EVIDENCE)
    )


@router.post("/{dispute_id}/accept", operation_id="acceptDispute", responses=_DECISION_ERRORS)
async def accept(
    dispute_id: DisputeId, operator: AsOperator, database: WithDatabase, client: WithDisputeClient
) -> DisputeDetails:
    """Accept the dispute: it is closed as lost, without evidence."""
    return await _decide(
        dispute_id, database, client, DisputeDecision(actor=operator.actor, answer=DisputeResponse.ACCEPTED)
    )


async def _decide(
    dispute_id: str, database: WithDatabase, client: WithDisputeClient, decision: DisputeDecision
) -> DisputeDetails:
    async with database.reading() as session:
        await _find(session, dispute_id)
    try:
        await client.decide(dispute_id, decision)
    except Closed as error:
        raise Problem(Kind.NOT_POSSIBLE_NOW, "The dispute is closed.") from error
    except Unreachable as error:
        raise unavailable("The dispute did not respond in time. Send the same request again.") from error
    async with database.reading() as session:
        return await _find(session, dispute_id)


async def _find(session: AsyncSession, dispute_id: str) -> DisputeDetails:
    """Raises the 404 `Problem`."""
    row = (await session.exec(_NAMED.where(col(Dispute.id) == dispute_id))).first()
    if row is None:
        raise Problem(Kind.NOT_FOUND, "There is no such dispute.")
    return _details(*row)


def _details(dispute: Dispute, title: str, student_name: str, instructor_name: str) -> DisputeDetails:
    return DisputeDetails(
        title=title,
        student_name=student_name,
        instructor_name=instructor_name,
        amount=Money(amount_minor=dispute.amount_minor, currency=dispute.currency),
        **dispute.model_dump(exclude={"amount_minor", "currency", "updated_at"}),
    )
