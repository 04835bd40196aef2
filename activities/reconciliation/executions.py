"""Compares the records of open bookings with their workflows, and finds workflows that have failed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from temporalio import activity

from activities.database.transactions import transaction
from models.domain.ids import BOOKING_WORKFLOW, DISPUTE_WORKFLOW, ONBOARDING_WORKFLOW, PAYOUT_WORKFLOW, REFUND_WORKFLOW
from models.domain.money import Money
from models.domain.reconciliation import (
    ATTENTION_PREFIX,
    MOST_DIFFERENCES,
    Book,
    BookingExecution,
    Difference,
    DriftKind,
    ExecutionComparison,
    ReconciliationStarted,
)
from models.domain.states import HOLDS_SLOT, BookingStatus, PaymentStatus, while_open
from models.tables.bookings import BookingRequest
from models.tables.disputes import Dispute
from models.tables.payments import InstructorPayout, Payment
from models.tables.refunds import Refund

_PAUSES_SECONDS = (1.0, 2.0, 5.0)
"""Before looking again: a booking that is being changed has a record and a workflow that differ for a moment."""
_SAME_TIME = timedelta(seconds=1)
"""More than Temporal rounds a time by."""
_MANY = 20
"""If more bookings than this, and most of the open ones, have no workflow, this may be another Temporal than theirs."""
_OVERDUE = timedelta(minutes=15)
"""How long after its deadline a booking with a running workflow has moved on."""
_UNATTENDED = "no workflow carries it on"
_NO_AMOUNT = Money(amount_minor=0, currency="usd")


class WorkflowLookup(Protocol):
    """Looks up workflow executions in Temporal."""

    def open_bookings(self) -> AsyncIterator[BookingExecution]:
        """The open Booking workflows. The list may lag behind by some seconds."""

    async def booking(self, booking_id: UUID) -> BookingExecution | None:
        """The booking's workflow as it is now; `None` if its latest run is not open."""

    async def failed(self) -> list[str]:
        """The ids of the workflows, of any type, whose latest run has failed or timed out."""

    async def ended_from_outside(self, since: datetime, *, is_failed_included: bool) -> list[str]:
        """The ids of the workflows whose latest run was ended by somebody else: which was terminated, for instance.

        Bookings that were terminated, failed or timed out; refunds, disputes, payouts and onboardings that were
        cancelled or terminated, or also those that failed or timed out.
        """

    async def is_running(self, workflow_id: str) -> bool:
        """Whether the latest run with this id is open."""

    async def restart(self, workflow_id: str) -> bool:
        """Start a workflow again with the input of its last run. Returns False if it is running."""


@dataclass(frozen=True)
class _Record:
    status: BookingStatus
    payment_status: PaymentStatus | None
    starts_at: datetime
    needs_attention: bool
    attention_reason: str | None
    next_deadline_at: datetime | None


class ExecutionActivities:
    def __init__(self, engine: AsyncEngine, workflows: WorkflowLookup) -> None:
        self._engine = engine
        self._workflows = workflows

    @activity.defn
    async def compare_executions(self, started: ReconciliationStarted) -> ExecutionComparison:
        """Compare each open booking's record with its workflow, and list the workflows that have failed.

        One list of each is read. Only the bookings on which these differ are looked at again, one by one.
        """
        executions = {execution.booking_id: execution async for execution in self._workflows.open_bookings()}
        activity.heartbeat()
        records = await self._records()
        suspects = {id for id in executions.keys() | records.keys() if _differ(records.get(id), executions.get(id))}
        unattended, details = await self._look_again(suspects)
        if len(unattended) > max(_MANY, len(records) // 2):
            # A wrong namespace must not cancel every booking. Only those that are overdue are ended.
            overdue = {id for id in unattended if _is_overdue(records.get(id), started.at)}
            details |= dict.fromkeys(unattended - overdue, _UNATTENDED)
            unattended = overdue
        failed = await self._workflows.failed()
        differences = [_difference(DriftKind.WORKFLOW, id, detail) for id, detail in sorted(details.items())]
        differences += [difference for id in failed for difference in await self._failure(id)]
        return ExecutionComparison(
            unattended=tuple(sorted(unattended)),
            workflows_failed=len(failed),
            differences=tuple(differences[:MOST_DIFFERENCES]),
        )

    async def _look_again(self, suspects: set[UUID]) -> tuple[set[UUID], dict[UUID, str]]:
        """The open bookings that have no open workflow, and how others still differ from theirs at the last look."""
        unattended, details = set[UUID](), dict[UUID, str | None]()
        for pause in (0.0, *_PAUSES_SECONDS):
            if not suspects:
                break
            await asyncio.sleep(pause)
            executions = {id: await self._look_up(id) for id in suspects}
            # After the workflows: one that is closed by then had recorded its booking's ending before.
            records = await self._records(suspects)
            unattended |= {id for id in suspects if id in records and executions[id] is None}
            details = {id: _differ(records.get(id), executions[id]) for id in suspects - unattended}
            suspects = {id for id, detail in details.items() if detail}
        return unattended, {id: detail for id, detail in details.items() if detail}

    async def _look_up(self, booking_id: UUID) -> BookingExecution | None:
        activity.heartbeat()
        return await self._workflows.booking(booking_id)

    async def _records(self, only: Collection[UUID] | None = None) -> dict[UUID, _Record]:
        """The open bookings, or those of them in `only`."""
        query = (
            sqlalchemy.select(
                col(BookingRequest.id),
                col(BookingRequest.status),
                col(Payment.status),
                col(BookingRequest.starts_at),
                col(BookingRequest.needs_attention),
                col(BookingRequest.attention_reason),
                col(BookingRequest.next_deadline_at),
            )
            .outerjoin(Payment, col(Payment.booking_id) == col(BookingRequest.id))
            .where(col(BookingRequest.status).in_(HOLDS_SLOT))
        )
        if only is not None:
            query = query.where(col(BookingRequest.id).in_(only))
        async with transaction(self._engine) as session:
            found: Iterable[Any] = await (await session.connection()).execute(query)
            return {id: _Record(*fields) for id, *fields in found}

    async def _failure(self, workflow_id: str) -> Iterable[Difference]:
        """For the booking or the instructor that the failed workflow is about. A reconciliation is about neither."""
        detail = f"the workflow {workflow_id} has failed"
        if workflow_id.startswith(ONBOARDING_WORKFLOW):
            id = UUID(workflow_id.removeprefix(ONBOARDING_WORKFLOW))
            return [_difference(DriftKind.INSTRUCTOR_WORKFLOW, id, detail)]
        if workflow_id.startswith(BOOKING_WORKFLOW):
            id = UUID(workflow_id.removeprefix(BOOKING_WORKFLOW))
            return [_difference(DriftKind.WORKFLOW, id, detail)]
        async with transaction(self._engine) as session:
            if workflow_id.startswith(PAYOUT_WORKFLOW):
                is_paid = col(InstructorPayout.stripe_payout_id) == workflow_id.removeprefix(PAYOUT_WORKFLOW)
                instructors = await session.exec(select(InstructorPayout.instructor_id).where(is_paid).distinct())
                return [_difference(DriftKind.INSTRUCTOR_WORKFLOW, id, detail) for id in instructors]
            subject: Refund | Dispute | None = None
            if workflow_id.startswith(REFUND_WORKFLOW):
                subject = await session.get(Refund, UUID(workflow_id.removeprefix(REFUND_WORKFLOW)))
            elif workflow_id.startswith(DISPUTE_WORKFLOW):
                subject = await session.get(Dispute, workflow_id.removeprefix(DISPUTE_WORKFLOW))
            return [_difference(DriftKind.WORKFLOW, subject.booking_id, detail)] if subject else []


def _difference(kind: DriftKind, subject: UUID, detail: str) -> Difference:
    return Difference(
        kind=kind, subject=subject, book=Book.CARD_HOLDS, ledger=_NO_AMOUNT, stripe=_NO_AMOUNT, detail=detail
    )


def _is_overdue(record: _Record | None, now: datetime) -> bool:
    return record is not None and record.next_deadline_at is not None and record.next_deadline_at < now - _OVERDUE


def _differ(record: _Record | None, execution: BookingExecution | None) -> str | None:
    """How the record of an open booking and its open workflow differ. `None` also if there is neither."""
    if record is None or execution is None:
        if record is None and execution is None:
            return None
        return "its workflow is open, and its record is not" if record is None else _UNATTENDED
    if record.status != execution.booking_status:
        return f"its record is {record.status}, and its workflow {execution.booking_status}"
    if while_open(record.payment_status) != execution.payment_status:
        return f"its payment's record is {record.payment_status}, and its workflow's {execution.payment_status}"
    if execution.starts_at is None or abs(record.starts_at - execution.starts_at) > _SAME_TIME:
        return f"its record starts at {record.starts_at:%Y-%m-%dT%H:%M:%SZ}, and its workflow at another time"
    if execution.needs_attention and not record.needs_attention:
        return "its workflow needs attention, and its record does not say so"
    by_workflow = record.needs_attention and not (record.attention_reason or "").startswith(ATTENTION_PREFIX)
    if by_workflow and not execution.needs_attention:
        return "its record says that it needs attention, and its workflow does not"
    return None
