"""Reconciliations, for operators: starting a run, and reading its results and the open drifts."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import TypeAdapter
from sqlalchemy import func, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from api.http import pagination
from api.http.auth import AsOperator
from api.http.database import Database, WithDatabase
from api.http.pagination import PageParams
from api.http.problems import Kind, Problem, problem_responses, unavailable
from api.http.schema_types import ResponseModel
from api.http.temporal import Timeouts, Unreachable, WorkflowCallError, translate_errors
from models.domain.actors import Actor, Role, Subject
from models.domain.ids import ordered_reconciliation_id
from models.domain.money import Money
from models.domain.reconciliation import WAY_OUT, Book, DriftKind, ReconciliationOrder, Total
from models.tables.audit import event_about
from models.tables.bookings import BookingRequest
from models.tables.people import Instructor, Student
from models.tables.reconciliation import Drift, Reconciliation
from workflows.reconciliation import ReconciliationWorkflow


class ReconciliationClient:
    def __init__(self, client: Client, task_queue: str, timeouts: Timeouts | None = None) -> None:
        self._client = client
        self._task_queue = task_queue
        self._timeouts = timeouts or Timeouts()

    async def start(self, by: Actor) -> UUID:
        """Start a run, or join the ordered one that is still open. Returns its id."""
        async with translate_errors(self._timeouts.decision):
            handle = await self._client.start_workflow(
                ReconciliationWorkflow.run,
                ReconciliationOrder(by=by),
                id=ordered_reconciliation_id(self._task_queue),
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                rpc_timeout=self._timeouts.decision,
            )
        if handle.result_run_id is None:
            raise Unreachable("Temporal did not say which run it is")
        return UUID(handle.result_run_id)


async def _client(request: Request) -> ReconciliationClient:
    client: ReconciliationClient = request.app.state.reconciliations
    return client


WithReconciliationClient = Annotated[ReconciliationClient, Depends(_client)]


router = APIRouter(prefix="/v1/operator", tags=["operator"])

_LIST_ERRORS = (
    Kind.CURSOR_UNKNOWN,
    Kind.NOT_SIGNED_IN,
    Kind.WRONG_ROLE,
    Kind.REQUEST_INVALID,
    Kind.INTERNAL,
    Kind.UNAVAILABLE,
)
_RETRY_SECONDS = 0.05
_TOTALS = TypeAdapter(list[Total])
_NAMED_DRIFTS = (
    select(Drift, BookingRequest.title, Student.name, Instructor.name)
    .select_from(Drift)
    .outerjoin(BookingRequest, col(BookingRequest.id) == col(Drift.booking_id))
    .outerjoin(Student, col(Student.id) == col(BookingRequest.student_id))
    .outerjoin(Instructor, col(Instructor.id) == func.coalesce(Drift.instructor_id, col(BookingRequest.instructor_id)))
)


class ComparedTotal(ResponseModel):
    book: Book
    """Which of Stripe's books was compared."""
    ledger: Money
    """The ledger's total."""
    stripe: Money
    """Stripe's total."""


class ReconciliationOrdered(ResponseModel):
    id: UUID
    """The id of the run. Poll it until `finished_at` is set."""


class ReconciliationRun(ResponseModel):
    id: UUID
    """The run's id."""
    by: Role
    """`platform` for scheduled runs."""
    started_at: datetime
    """When it started."""
    finished_at: datetime | None
    """`null` while the run is in progress."""
    accounts_read: int
    """Connected accounts whose events were read."""
    events_read: int
    """Stripe events of the last 30 days that were read."""
    events_redelivered: int
    """Events that had not arrived, and were delivered to their workflows."""
    workflows_checked: int
    """Workflows compared with their records."""
    workflows_failed: int
    """Workflows of any type whose latest run has failed."""
    holds_released: int
    """Holds of bookings whose workflows were terminated."""
    balance_transactions_read: int
    """The platform's balance transactions since the previous run."""
    transactions_read: int
    """Ledger transactions read."""
    bookings_compared: int
    """Bookings compared with Stripe."""
    balances_compared: int
    """Instructors' balances compared."""
    fees_booked: int
    """Stripe fees booked now because they were not known at capture."""
    drifts: int
    """Differences that remain."""
    drifts_omitted: int
    """Differences beyond the first 500, which are counted only. A run with any resolves no drift."""
    totals: list[ComparedTotal]
    """Totals of what was compared, by book and currency."""


class ReconciliationPage(ResponseModel):
    data: list[ReconciliationRun]
    """The items of this page."""
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""


class DriftDetails(ResponseModel):
    id: UUID
    """Its id."""
    kind: DriftKind
    """What differs."""
    booking_id: UUID | None
    """`null` if the drift is of an instructor's balance, or of all books."""
    title: str | None
    """The booking's."""
    student_name: str | None
    """The student's display name."""
    instructor_id: UUID | None
    """The instructor whose balance differs."""
    instructor_name: str | None
    """The booking's, or that of `instructor_id`."""
    book: Book
    """Which of Stripe's books differs from the ledger."""
    ledger: Money
    """The ledger's amount."""
    stripe: Money
    """Stripe's amount."""
    difference: Money
    """The ledger's amount minus Stripe's."""
    detail: str
    """The difference in a sentence."""
    way_out: str
    """How an operator resolves a drift of this kind, if it does not resolve by itself."""
    reconciliation_id: UUID
    """The last run that found the drift."""
    found_at: datetime
    """When a run first found it."""
    seen_at: datetime
    """When a run last found it."""
    resolved_at: datetime | None
    """When a run no longer found the drift, or an operator adjusted the ledger."""
    adjusted_at: datetime | None
    """When an operator adjusted the ledger, which resolved the drift."""


class DriftPage(ResponseModel):
    data: list[DriftDetails]
    """The items of this page."""
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""


@router.post(
    "/reconciliations",
    operation_id="startReconciliation",
    status_code=202,
    responses=problem_responses(Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def reconcile(
    operator: AsOperator, database: WithDatabase, client: WithReconciliationClient
) -> ReconciliationOrdered:
    """Start a reconciliation now, or join the ordered one in progress."""
    try:
        id = await client.start(operator.actor)
        while await _is_finished(database, id):
            # That run has finished and its workflow is just closing: its results predate this request.
            await asyncio.sleep(_RETRY_SECONDS)
            id = await client.start(operator.actor)
    except WorkflowCallError as error:
        raise unavailable("The reconciliation was not started. Send the request again.") from error
    now = datetime.now(UTC)
    async with database.writing() as session:
        audit_event = event_about(
            Subject.RECONCILIATION, id, "reconciliation.ordered", operator.actor, operator.channel, now,
            occasion=now.isoformat(),
        )  # fmt: skip
        session.add(audit_event)
        # The run inserts the same row, perhaps later: inserted here too, the returned id can be read at once.
        row = Reconciliation(id=id, by_role=operator.actor.role, by_id=operator.actor.id, started_at=now)
        await session.exec(insert(Reconciliation).values(row.model_dump()).on_conflict_do_nothing())
    return ReconciliationOrdered(id=id)


@router.get("/reconciliations", operation_id="listReconciliations", responses=problem_responses(*_LIST_ERRORS))
async def list_reconciliations(operator: AsOperator, page: PageParams, database: WithDatabase) -> ReconciliationPage:
    """Newest first."""
    order = (col(Reconciliation.started_at), col(Reconciliation.id))
    query = select(Reconciliation).order_by(*(column.desc() for column in order)).limit(page.limit + 1)
    if page.after is not None:
        query = query.where(tuple_(*order) < (page.after.at, page.after.id))
    async with database.reading() as session:
        found = list(await session.exec(query))
    return ReconciliationPage(
        data=[_run(row) for row in found[: page.limit]],
        next_cursor=pagination.next_cursor(found, page.limit, lambda last: (last.started_at, last.id)),
    )


@router.get(
    "/reconciliations/{reconciliation_id}",
    operation_id="getReconciliation",
    responses=problem_responses(
        Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NOT_FOUND, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)
async def get_reconciliation(
    reconciliation_id: UUID, operator: AsOperator, database: WithDatabase
) -> ReconciliationRun:
    """One run, finished or in progress."""
    async with database.reading() as session:
        row = await session.get(Reconciliation, reconciliation_id)
    if row is None:
        raise Problem(Kind.NOT_FOUND, "There is no such reconciliation.")
    return _run(row)


@router.get("/drifts", operation_id="listDrifts", responses=problem_responses(*_LIST_ERRORS))
async def list_drifts(
    operator: AsOperator,
    page: PageParams,
    database: WithDatabase,
    is_open: Annotated[bool | None, Query(alias="open", description="Only open drifts, or only resolved ones.")] = None,
) -> DriftPage:
    """Differences between the ledger and Stripe, most recently found first."""
    order = (col(Drift.found_at), col(Drift.id))
    query = _NAMED_DRIFTS.order_by(*(column.desc() for column in order)).limit(page.limit + 1)
    if is_open is not None:
        query = query.where(col(Drift.resolved_at).is_(None) if is_open else col(Drift.resolved_at).is_not(None))
    if page.after is not None:
        query = query.where(tuple_(*order) < (page.after.at, page.after.id))
    async with database.reading() as session:
        found = list(await session.exec(query))
    return DriftPage(
        data=[_drift(*row) for row in found[: page.limit]],
        next_cursor=pagination.next_cursor(found, page.limit, lambda last: (last[0].found_at, last[0].id)),
    )


async def get_drift(drift_id: UUID, operator: AsOperator, database: WithDatabase) -> DriftDetails:
    """One drift, open or resolved. Raises the 404 `Problem`."""
    async with database.reading() as session:
        row = (await session.exec(_NAMED_DRIFTS.where(col(Drift.id) == drift_id))).first()
    if row is None:
        raise Problem(Kind.NOT_FOUND, "There is no such drift.")
    return _drift(*row)


async def _is_finished(database: Database, id: UUID) -> bool:
    async with database.reading() as session:
        row = await session.get(Reconciliation, id)
    return row is not None and row.finished_at is not None


def _run(row: Reconciliation) -> ReconciliationRun:
    fields: dict[str, Any] = row.model_dump(include=set(ReconciliationRun.model_fields) - {"by", "totals"})
    totals = [ComparedTotal(**dict(total)) for total in _TOTALS.validate_python(row.totals)]
    return ReconciliationRun(by=row.by_role, totals=totals, **fields)


def _drift(row: Drift, title: str | None, student_name: str | None, instructor_name: str | None) -> DriftDetails:
    ledger = Money(amount_minor=row.ledger_minor, currency=row.currency)
    stripe = Money(amount_minor=row.stripe_minor, currency=row.currency)
    fields: dict[str, Any] = row.model_dump(exclude={"currency", "ledger_minor", "stripe_minor"})
    names = {"title": title, "student_name": student_name, "instructor_name": instructor_name}
    fields["way_out"] = WAY_OUT[row.kind]
    return DriftDetails(ledger=ledger, stripe=stripe, difference=ledger - stripe, **names, **fields)
