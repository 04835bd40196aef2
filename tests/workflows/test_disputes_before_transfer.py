"""A charge that is disputed before its share is transferred: nothing is transferred while the dispute is open.

The sandbox is the test's own.
"""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from models.domain.actors import Actor, Role
from models.domain.messages import (
    Complete,
    Reject,
    Release,
    Retry,
)
from models.domain.payments import CHARGE_DISPUTED
from models.domain.policy import PaymentPlan
from models.domain.states import BookingStatus, DisputeStatus, PaymentStatus
from sandbox.demo.figures import Figures
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.booking.renewal_steps import assert_ledger_is_stripes
from tests.workflows.dispute_steps import decide_at_the_bank, notify_dispute, open_dispute, until_dispute_is
from tests.workflows.saga import Booked, Saga
from workflows.booking.workflow import BookingWorkflow

OPERATOR = Actor(role=Role.OPERATOR, id=UUID(int=3))


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def plan() -> PaymentPlan:
    return PaymentPlan.CHARGE_THEN_TRANSFER


async def disputed(booked: Booked) -> str:
    """Opened, and noticed."""
    dispute = await open_dispute(booked.saga, booked)
    await hear(booked, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    return dispute.id


async def decided(booked: Booked, dispute_id: str, evidence: str, status: DisputeStatus) -> None:
    await decide_at_the_bank(booked.saga, dispute_id, evidence)
    await hear(booked, dispute_id, status)


async def hear(booked: Booked, dispute_id: str, status: DisputeStatus) -> None:
    """Stripe's event reaches the dispute and the booking, as the router sends it."""
    await notify_dispute(booked.saga, dispute_id)
    await booked.notify()
    await until_dispute_is(booked.saga, dispute_id, status)


async def payment_status(booked: Booked) -> PaymentStatus:
    payment = await booked.payment()
    assert payment is not None
    return payment.status


async def parked(saga: Saga) -> tuple[Booked, str]:
    """A completed session whose charge is disputed."""
    booked = await saga.accepted()
    dispute_id = await disputed(booked)
    assert await payment_status(booked) is PaymentStatus.DISPUTED
    await booked.until_ended()
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert view.needs_attention
    request = await booked.request()
    assert request is not None
    assert CHARGE_DISPUTED in (request.attention_reason or "")
    assert "transfer" not in saga.faults.calls
    await assert_ledger_is_stripes(saga)
    return booked, dispute_id


async def test_a_dispute_that_is_won_lets_the_booking_settle_by_itself(saga: Saga) -> None:
    booked, dispute_id = await parked(saga)
    await decided(booked, dispute_id, "winning_evidence", DisputeStatus.WON)
    view = await booked.result()
    assert (view.booking_status, view.payment_status, view.needs_attention) == (
        BookingStatus.COMPLETED,
        PaymentStatus.CAPTURED,
        False,
    )
    assert await payment_status(booked) is PaymentStatus.CAPTURED
    assert await booked.figures() == Figures(10_000, 8_000, 2_000, 320 + 1_500)
    await assert_ledger_is_stripes(saga)


async def test_a_booking_whose_dispute_is_lost_is_released_by_an_operator(saga: Saga) -> None:
    booked, dispute_id = await parked(saga)
    await decided(booked, dispute_id, "losing_evidence", DisputeStatus.LOST)
    await saga.until_needs_attention(booked)
    view = await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    assert view.needs_attention
    view = await booked.handle.execute_update(BookingWorkflow.release, Release(actor=OPERATOR))
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    assert await payment_status(booked) is PaymentStatus.REFUNDED
    assert "refund_charge" not in saga.faults.calls
    assert await booked.figures() == Figures(0, 0, 0, 320 + 1_500)
    await assert_ledger_is_stripes(saga)


async def test_a_dispute_that_is_won_before_the_session_changes_nothing(saga: Saga) -> None:
    booked = await saga.accepted()
    dispute_id = await disputed(booked)
    await decided(booked, dispute_id, "winning_evidence", DisputeStatus.WON)
    for _ in range(60):
        if await payment_status(booked) is PaymentStatus.PENDING:
            break
        await saga.env.sleep(1)
    await booked.until_ended()
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert (view.booking_status, view.needs_attention) == (BookingStatus.COMPLETED, False)
    await assert_ledger_is_stripes(saga)


@pytest.mark.parametrize("evidence", ["winning_evidence", "losing_evidence"])
async def test_a_booking_that_is_rejected_while_its_charge_is_disputed_returns_it_once(
    saga: Saga, evidence: str
) -> None:
    """A disputed charge cannot be refunded, and a lost dispute has returned it."""
    booked = await saga.paid()
    dispute_id = await disputed(booked)
    rejecting = asyncio.create_task(
        booked.handle.execute_update(BookingWorkflow.reject, Reject(actor=booked.instructor))
    )
    await saga.until_needs_attention(booked)
    await rejecting
    is_won = evidence == "winning_evidence"
    await decided(booked, dispute_id, evidence, DisputeStatus.WON if is_won else DisputeStatus.LOST)
    if (request := await booked.request()) and request.needs_attention:
        await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    view = await booked.result()
    assert (view.booking_status, view.payment_status) == (BookingStatus.REJECTED, PaymentStatus.REFUNDED)
    assert (await booked.figures()).student_paid_minor == 0
    await assert_ledger_is_stripes(saga)
