"""Which booking or instructor a failed workflow is about, and what becomes of bookings without any workflow."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.reconciliation.executions import ExecutionActivities
from models.domain.actors import PLATFORM
from models.domain.endings import completed
from models.domain.ids import (
    dispute_workflow_id,
    onboarding_workflow_id,
    payout_workflow_id,
    refund_workflow_id,
    workflow_id,
)
from models.domain.payments import HoldPhase
from models.domain.policy import LossBearer
from models.domain.reconciliation import BookingExecution, DriftKind, ReconciliationStarted
from models.domain.states import DisputeStatus, RefundStatus
from models.tables.bookings import BookingRequest
from models.tables.disputes import Dispute
from models.tables.payments import InstructorPayout
from models.tables.refunds import Refund
from tests.activities.bookings import HOUR, NOW, STARTS_AT, Bookings, ended, held, reserve


class Failed:
    """Temporal with these failed workflows, and no other. Implements `WorkflowLookup`."""

    def __init__(self, *ids: str) -> None:
        self._ids = list(ids)

    async def open_bookings(self) -> AsyncIterator[BookingExecution]:
        for execution in list[BookingExecution]():
            yield execution

    async def booking(self, booking_id: UUID) -> BookingExecution | None:
        return None

    async def failed(self) -> list[str]:
        return self._ids

    async def ended_from_outside(self, since: datetime, *, is_failed_included: bool) -> list[str]:
        return []

    async def is_running(self, workflow_id: str) -> bool:
        return False

    async def restart(self, workflow_id: str) -> bool:
        return False


async def test_failed_workflow_is_reported_with_its_booking_or_instructor(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    ending = completed(terms, PLATFORM)
    await bookings.records.record_ending(ended(terms, ending, held(terms, HoldPhase.CAPTURED)))
    common: dict[str, Any] = {"booking_id": terms.booking_id, "currency": "usd", "created_at": NOW, "updated_at": NOW}
    refund = Refund(
        id=uuid4(), status=RefundStatus.REQUESTED, amount_minor=100, borne_by=LossBearer.BOTH, ordered_by=uuid4(),
        **common,
    )  # fmt: skip
    dispute = Dispute(
        id="dp_1", status=DisputeStatus.NEEDS_RESPONSE, is_inquiry=False, reason="fraudulent", amount_minor=100,
        **common,
    )  # fmt: skip
    async with AsyncSession(bookings.engine, expire_on_commit=False) as session, session.begin():
        session.add_all([refund, dispute])
        payout = (await bookings.all(InstructorPayout))[0]
        (await session.get_one(InstructorPayout, payout.id)).stripe_payout_id = "po_1"
    booking, instructor = (DriftKind.WORKFLOW, terms.booking_id), (DriftKind.INSTRUCTOR_WORKFLOW, terms.instructor_id)
    about = {
        workflow_id(terms.booking_id): booking,
        refund_workflow_id(refund.id): booking,
        dispute_workflow_id("dp_1"): booking,
        payout_workflow_id("po_1"): instructor,
        onboarding_workflow_id(terms.instructor_id): instructor,
    }
    unknown = ("reconciliation-1", dispute_workflow_id("dp_unknown"))
    activities = ExecutionActivities(bookings.engine, Failed(*about, *unknown))
    started = ReconciliationStarted(id=uuid4(), at=NOW, events_since=NOW, ledger_after=0, workflows_since=NOW)
    found = await ActivityEnvironment().run(activities.compare_executions, started)
    assert found.workflows_failed == len(about) + len(unknown)
    details = {each.detail: (each.kind, each.subject) for each in found.differences}
    assert details == {f"the workflow {id} has failed": subject for id, subject in about.items()}
    assert found.unattended == ()


@pytest.mark.parametrize("number", [20, 21])
async def test_only_overdue_bookings_are_ended_if_most_have_no_workflow(bookings: Bookings, number: int) -> None:
    """As with a worker that is connected to another namespace."""
    ids = []
    for hours in range(number):
        terms = await bookings.terms(STARTS_AT + hours * 2 * HOUR)
        assert await bookings.records.reserve_slot(reserve(terms))
        ids.append(terms.booking_id)
    async with AsyncSession(bookings.engine) as session, session.begin():
        (await session.get_one(BookingRequest, ids[0])).next_deadline_at = NOW - HOUR
    activities = ExecutionActivities(bookings.engine, Failed())
    started = ReconciliationStarted(id=uuid4(), at=NOW, events_since=NOW, ledger_after=0, workflows_since=NOW)
    found = await ActivityEnvironment().run(activities.compare_executions, started)
    are_many = number > 20
    assert set(found.unattended) == ({ids[0]} if are_many else set(ids))
    assert {each.subject for each in found.differences} == (set(ids[1:]) if are_many else set())
