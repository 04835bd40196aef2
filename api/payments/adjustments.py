"""Adjustments: an operator settles a drift by having the ledger corrected to what Stripe has."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from api.bookings import queries
from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, problem_responses, unavailable
from api.http.schema_types import FreeText, RequestModel, ResponseModel
from api.http.temporal import Timeouts, WorkflowCallError, translate_errors
from api.payments.ledger import LedgerLine
from models.domain.actors import Subject
from models.domain.adjustments import AdjustmentOrder, AdjustmentView
from models.domain.ids import adjustment_workflow_id
from models.tables.audit import event_about
from workflows.adjustments import AdjustmentWorkflow

router = APIRouter(prefix="/v1/operator/bookings/{booking_id}", tags=["operator"])


class AdjustmentRequest(RequestModel):
    drift_id: UUID
    """An open drift of the booking. All its open drifts are settled, since one correction settles them."""
    reason: FreeText
    """Kept in the audit trail."""
    preview: Annotated[bool, Field(strict=True)] = False
    """Only return what would be posted."""


class BookingAdjustment(ResponseModel):
    booking_id: UUID
    """The booking."""
    is_posted: bool
    """`false` for a preview."""
    lines: list[LedgerLine]
    """The ledger transaction. It makes the booking's ledger what Stripe has."""
    drift_ids: list[UUID]
    """The drifts that it settles."""


class AdjustmentClient:
    """The API's client of the Adjustment workflow. Raises `WorkflowCallError`."""

    def __init__(self, client: Client, task_queue: str, timeouts: Timeouts | None = None) -> None:
        self._client = client
        self._task_queue = task_queue
        self._timeouts = timeouts or Timeouts()

    async def execute(self, order: AdjustmentOrder) -> AdjustmentView:
        """Start the adjustment, or join the one of the booking that is in progress. Returns its result."""
        async with translate_errors(self._timeouts.decision):
            return await self._client.execute_workflow(
                AdjustmentWorkflow.run,
                order,
                id=adjustment_workflow_id(order.booking_id, order.is_preview),
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )


async def _client(request: Request) -> AdjustmentClient:
    client: AdjustmentClient = request.app.state.adjustments
    return client


@router.post(
    "/adjust",
    operation_id="adjustBooking",
    responses=problem_responses(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NOT_FOUND,
        Kind.NOT_POSSIBLE_NOW,
        Kind.BOOKING_DELETED,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def adjust(
    booking_id: UUID,
    requested: AdjustmentRequest,
    operator: AsOperator,
    database: WithDatabase,
    client: Annotated[AdjustmentClient, Depends(_client)],
) -> BookingAdjustment:
    """Correct the ledger of a booking that has ended to what Stripe has, or preview the correction."""
    now = datetime.now(UTC)
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, operator)
    if not requested.preview:
        # Free text stays out of the workflow's history, so the reason is saved before the workflow is started.
        detail = {"drift_id": str(requested.drift_id), "reason": requested.reason}
        action, occasion = "booking.adjustment_reason_kept", now.isoformat()
        async with database.writing() as session:
            session.add(
                event_about(
                    Subject.BOOKING,
                    booking_id,
                    action,
                    operator.actor,
                    operator.channel,
                    now,
                    detail,
                    occasion=occasion,
                )
            )
    order = AdjustmentOrder(
        booking_id=booking_id, drift_id=requested.drift_id, actor=operator.actor, is_preview=requested.preview
    )
    try:
        view = await client.execute(order)
    except WorkflowCallError as error:
        raise unavailable("The adjustment may still be made: read the drift before you ask again.") from error
    if view.refusal:
        raise Problem(Kind.NOT_POSSIBLE_NOW, view.refusal, booking_status=record.request.status)
    return BookingAdjustment(
        booking_id=booking_id,
        is_posted=not requested.preview,
        lines=[LedgerLine(account=line.account, amount=line.amount) for line in view.lines],
        drift_ids=list(view.drift_ids),
    )
