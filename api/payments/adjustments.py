"""Adjustments: an operator settles a drift by having the ledger corrected to what Stripe has."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from api.bookings import queries
from api.http.auth import AsOperator, Caller
from api.http.database import Database, WithDatabase
from api.http.problems import Kind, Problem, problem_responses, unavailable
from api.http.schema_types import FreeText, RequestModel, ResponseModel
from api.http.temporal import Timeouts, WorkflowCallError, translate_errors
from api.payments.ledger import LedgerLine
from models.domain.actors import Subject
from models.domain.adjustments import AdjustmentOrder, AdjustmentView
from models.domain.ids import adjustment_workflow_id
from models.domain.reconciliation import WAY_OUT, DriftKind
from models.domain.states import BookingStatus
from models.tables.audit import AuditEvent, event_about
from models.tables.reconciliation import Drift
from workflows.adjustments import AdjustmentWorkflow

router = APIRouter(prefix="/v1/operator", tags=["operator"])

_ADJUSTABLE = (DriftKind.BOOKING, DriftKind.BALANCE)


class DriftAdjustmentRequest(RequestModel):
    reason: FreeText
    """Kept in the audit trail."""
    preview: Annotated[bool, Field(strict=True)] = False
    """Only return what would be posted."""


class AdjustmentRequest(DriftAdjustmentRequest):
    drift_id: UUID
    """An open drift of the booking. All its open drifts are settled, since one correction settles them."""


class Adjustment(ResponseModel):
    booking_id: UUID | None
    """The booking. `null` for an instructor's balance."""
    instructor_id: UUID | None
    """Only for an instructor's balance."""
    is_posted: bool
    """`false` for a preview."""
    lines: list[LedgerLine]
    """The ledger transaction. It makes the ledger what Stripe has."""
    drift_ids: list[UUID]
    """The drifts that it settles: all open ones of the booking, or of the instructor's balance."""


class AdjustmentClient:
    """The API's client of the Adjustment workflow. Raises `WorkflowCallError`."""

    def __init__(self, client: Client, task_queue: str, timeouts: Timeouts | None = None) -> None:
        self._client = client
        self._task_queue = task_queue
        self._timeouts = timeouts or Timeouts()

    async def execute(self, order: AdjustmentOrder) -> AdjustmentView:
        """Start the adjustment, or join the one of its subject that is in progress. Returns its result."""
        async with translate_errors(self._timeouts.decision):
            return await self._client.execute_workflow(
                AdjustmentWorkflow.run,
                order,
                id=adjustment_workflow_id(order.booking_id or order.instructor_id, order.is_preview),
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )


async def _client(request: Request) -> AdjustmentClient:
    client: AdjustmentClient = request.app.state.adjustments
    return client


WithAdjustmentClient = Annotated[AdjustmentClient, Depends(_client)]

_ERRORS = (
    Kind.NOT_SIGNED_IN,
    Kind.WRONG_ROLE,
    Kind.NOT_FOUND,
    Kind.NOT_POSSIBLE_NOW,
    Kind.CONTENT_TOO_LARGE,
    Kind.REQUEST_INVALID,
    Kind.INTERNAL,
    Kind.UNAVAILABLE,
)


@router.post(
    "/bookings/{booking_id}/adjust",
    operation_id="adjustBooking",
    responses=problem_responses(*_ERRORS, Kind.BOOKING_DELETED),
)
async def adjust_booking(
    booking_id: UUID,
    requested: AdjustmentRequest,
    operator: AsOperator,
    database: WithDatabase,
    client: WithAdjustmentClient,
) -> Adjustment:
    """Correct the ledger of a booking that has ended to what Stripe has, or preview the correction."""
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, operator)
    order = AdjustmentOrder(
        booking_id=booking_id, drift_id=requested.drift_id, actor=operator.actor, is_preview=requested.preview
    )
    return await _adjust(order, requested.reason, operator, database, client, record.request.status)


@router.post("/drifts/{drift_id}/adjust", operation_id="adjustDrift", responses=problem_responses(*_ERRORS))
async def adjust_drift(
    drift_id: UUID,
    requested: DriftAdjustmentRequest,
    operator: AsOperator,
    database: WithDatabase,
    client: WithAdjustmentClient,
) -> Adjustment:
    """Correct the ledger of the drift's booking, deleted or not, or of its instructor's balance, to what Stripe has."""
    async with database.reading() as session:
        drift = await session.get(Drift, drift_id)
    if drift is None:
        raise Problem(Kind.NOT_FOUND, "There is no such drift.")
    if drift.kind not in _ADJUSTABLE:
        raise Problem(Kind.NOT_POSSIBLE_NOW, f"No amount differs. {WAY_OUT[drift.kind]}")
    order = AdjustmentOrder(
        booking_id=drift.booking_id,
        instructor_id=drift.instructor_id,
        drift_id=drift_id,
        actor=operator.actor,
        is_preview=requested.preview,
    )
    return await _adjust(order, requested.reason, operator, database, client)


async def _adjust(
    order: AdjustmentOrder,
    reason: str,
    operator: Caller,
    database: Database,
    client: AdjustmentClient,
    status: BookingStatus | None = None,
) -> Adjustment:
    if not order.is_preview:
        # Free text stays out of the workflow's history, so the reason is saved before the workflow is started.
        async with database.writing() as session:
            session.add(_reason_kept(order, reason, operator))
    try:
        view = await client.execute(order)
    except WorkflowCallError as error:
        raise unavailable("The adjustment may still be made: read the drift before you ask again.") from error
    if view.refusal:
        raise Problem(Kind.NOT_POSSIBLE_NOW, view.refusal, booking_status=status)
    return Adjustment(
        booking_id=order.booking_id,
        instructor_id=order.instructor_id,
        is_posted=not order.is_preview,
        lines=[LedgerLine(account=line.account, amount=line.amount) for line in view.lines],
        drift_ids=list(view.drift_ids),
    )


def _reason_kept(order: AdjustmentOrder, reason: str, operator: Caller) -> AuditEvent:
    subject, id = (Subject.BOOKING, order.booking_id) if order.booking_id else (Subject.INSTRUCTOR, order.instructor_id)
    assert id is not None
    now = datetime.now(UTC)
    detail = {"drift_id": str(order.drift_id), "reason": reason}
    action = f"{subject}.adjustment_reason_kept"
    return event_about(subject, id, action, operator.actor, operator.channel, now, detail, occasion=now.isoformat())
