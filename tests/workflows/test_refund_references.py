"""A succeeded refund gets its bank's reference later. The events about it change nothing here."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.ids import external_refund_id, refund_workflow_id
from models.domain.refunds import RefundView
from models.domain.states import RefundStatus
from models.domain.stripe_events import RoutingResult, StripeEvent
from models.tables.audit import AuditEvent
from models.tables.ledger import LedgerTransaction
from models.tables.outbox import OutboxMessage
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.bank import DAY_SECONDS, bank_of
from tests.workflows.refund_steps import execute_refund, order_refund, payment_totals, refund_in_dashboard, usual_flags
from tests.workflows.saga import QUEUE, Booked, Saga, both_plans
from workflows.client.event_router import StripeEventRouter

pytestmark = both_plans


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


async def records(booked: Booked) -> tuple[Any, ...]:
    """The payment's totals, and how many postings, audit events and notifications the booking has."""
    booking_id = booked.order.terms.booking_id
    async with AsyncSession(booked.saga.engine) as session:
        counts = [
            (await session.exec(select(func.count()).where(col(table.booking_id) == booking_id))).one()
            for table in (LedgerTransaction, AuditEvent, OutboxMessage)
        ]
    return (await payment_totals(booked), *counts)


async def events(saga: Saga) -> list[StripeEvent]:
    """The events about references: of refunds that were and are succeeded."""
    listed = await saga.stripe.v1.events.list_async({"types": ["refund.updated", "charge.refund.updated"]})
    return [StripeEvent.of(event.id, event.type, None, event.data.to_dict()) for event in listed.data]


async def test_reference_of_a_refund_changes_nothing(saga: Saga) -> None:
    booked = await saga.completed()
    refund_id = await order_refund(saga, booked, 2_000)
    assert await execute_refund(saga, refund_id) == RefundView(status=RefundStatus.SUCCEEDED)
    in_dashboard = await refund_in_dashboard(saga, booked, 1_000, usual_flags(saga))
    router = StripeEventRouter(saga.env.client, QUEUE, saga.engine)
    [made] = (await saga.stripe.v1.events.list_async({"type": "refund.created", "limit": 1})).data
    await router.route(StripeEvent.of(made.id, made.type, None, made.data.to_dict()))
    workflows = [
        saga.env.client.get_workflow_handle(refund_workflow_id(id), result_type=RefundStatus)
        for id in (refund_id, external_refund_id(in_dashboard.id))
    ]
    for workflow in workflows:
        assert await workflow.result() is RefundStatus.SUCCEEDED
    before = await records(booked)
    await bank_of(booked).wait(DAY_SECONDS)
    found = await events(saga)
    assert len(found) == 4
    for event in found:
        assert await router.route(event) is RoutingResult.ROUTED
        for workflow in workflows:
            assert await workflow.result() is RefundStatus.SUCCEEDED
    assert await records(booked) == before
