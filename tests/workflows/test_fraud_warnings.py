"""Early fraud warnings: an operator is told, or what is left is refunded before a dispute takes it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import stripe
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowHandle

from activities.database import audit
from models.domain.actors import Actor, Role
from models.domain.endings import EndReason
from models.domain.fraud_warnings import DISMISSED, WARNED
from models.domain.ids import fraud_refund_id, refund_workflow_id
from models.domain.ledger import Account
from models.domain.messages import Channel, Complete
from models.domain.policy import BookingPolicy, FraudWarningPolicy, LossBearer, PaymentPlan
from models.domain.refunds import RefundEvent, RefundOrder
from models.domain.states import BookingStatus, PaymentStatus, RefundStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest
from models.tables.refunds import Refund
from tests.workflows.dispute_steps import balances, open_dispute
from tests.workflows.drifts import DRIFT_REASON, add_drift
from tests.workflows.refund_steps import payment_totals, refund_booking, refunds_at_stripe
from tests.workflows.saga import QUEUE, Booked, Saga, both_plans
from workflows.booking.workflow import BookingWorkflow
from workflows.refunds import RefundWorkflow

pytestmark = both_plans

OPERATOR = Actor(role=Role.OPERATOR, id=uuid4())
REFUND = BookingPolicy(on_fraud_warning=FraudWarningPolicy.REFUND)


@dataclass(frozen=True)
class Warned:
    saga: Saga
    booked: Booked
    warning_id: str

    @property
    def refund_id(self) -> UUID:
        return fraud_refund_id(self.warning_id)

    async def notify(self) -> WorkflowHandle[RefundWorkflow, RefundStatus | None]:
        """Start or signal the workflow, as the webhook does."""
        return await self.saga.env.client.start_workflow(
            RefundWorkflow.run,
            RefundOrder(refund_id=self.refund_id, fraud_warning_id=self.warning_id),
            id=refund_workflow_id(self.refund_id),
            task_queue=QUEUE,
            start_signal="refund_event",
            start_signal_args=[RefundEvent(event_id=f"evt_{uuid4().hex}", type="radar.early_fraud_warning.test")],
        )

    async def booking(self) -> BookingRequest:
        async with AsyncSession(self.saga.engine) as session:
            return await session.get_one(BookingRequest, self.booked.order.terms.booking_id)

    async def refunds(self) -> list[Refund]:
        query = select(Refund).where(col(Refund.booking_id) == self.booked.order.terms.booking_id)
        async with AsyncSession(self.saga.engine) as session:
            return list(await session.exec(query))

    async def dismiss(self) -> None:
        booking_id = self.booked.order.terms.booking_id
        now = await self.saga.env.get_current_time()
        async with AsyncSession(self.saga.engine) as session:
            dismissed = audit.event(booking_id, DISMISSED, OPERATOR, Channel.API, now, None, self.warning_id)
            await audit.append(session, dismissed)
            await session.commit()

    async def warnings_recorded(self) -> list[dict[str, Any]]:
        booking_id = self.booked.order.terms.booking_id
        query = select(AuditEvent).where(
            col(AuditEvent.booking_id) == booking_id, col(AuditEvent.action) == "booking.fraud_warning"
        )
        async with AsyncSession(self.saga.engine) as session:
            return [event.detail for event in await session.exec(query)]


async def warn(saga: Saga, booked: Booked) -> Warned:
    intent = await booked.payment_intent()
    assert intent is not None
    charge = intent.latest_charge
    params = {"charge": charge.id if isinstance(charge, stripe.Charge) else charge}
    async with httpx.AsyncClient(base_url=saga.stripe_url, trust_env=False) as bank:
        opened = (await bank.post("/_sandbox/early_fraud_warnings", json=params)).raise_for_status()
    return Warned(saga, booked, opened.json()["id"])


async def test_operator_is_told_by_default(saga: Saga) -> None:
    warned = await warn(saga, await saga.completed())
    for _ in range(2):  # Stripe may send an event twice.
        assert await (await warned.notify()).result() is None
    booking = await warned.booking()
    assert booking.needs_attention
    assert "misc" in (booking.attention_reason or "")
    assert await warned.warnings_recorded() == [
        {"warning_id": warned.warning_id, "fraud_type": "misc", "amount_minor": 10_000}
    ]
    assert await warned.refunds() == []
    assert await payment_totals(warned.booked) == (PaymentStatus.CAPTURED, 10_000, 0, 2_000)


@pytest.mark.parametrize("settled_by", ["refund", "dispute"])
async def test_attention_ends_when_the_warning_needs_no_action_any_more(saga: Saga, settled_by: str) -> None:
    warned = await warn(saga, await saga.completed())
    await (await warned.notify()).result()
    if settled_by == "refund":
        assert (await refund_booking(saga, warned.booked, 10_000)).status is RefundStatus.SUCCEEDED
    else:
        await open_dispute(saga, warned.booked)
    assert (await warned.booking()).needs_attention
    assert await (await warned.notify()).result() is None
    booking = await warned.booking()
    assert (booking.needs_attention, booking.attention_reason) == (False, None)


async def test_reason_that_the_records_give_is_shown_after_a_fraud_warning(saga: Saga) -> None:
    warned = await warn(saga, await saga.completed())
    await (await warned.notify()).result()
    await add_drift(saga.engine, warned.booked.order.terms.booking_id)
    assert (await refund_booking(saga, warned.booked, 10_000)).status is RefundStatus.SUCCEEDED
    await (await warned.notify()).result()
    booking = await warned.booking()
    assert (booking.needs_attention, booking.attention_reason) == (True, DRIFT_REASON)


@pytest.mark.parametrize(
    ("borne_by", "wanted"),
    [
        (LossBearer.BOTH, {Account.STRIPE_BALANCE: -320, Account.STRIPE_FEES: 320}),
        (
            LossBearer.PLATFORM,
            {
                Account.STRIPE_BALANCE: 2_000 - 10_000 - 320,
                Account.STRIPE_FEES: 320,
                Account.CONNECTED_BALANCE: 8_000,
                Account.INSTRUCTOR_PAYABLE: -8_000,
                Account.PLATFORM_LOSSES: 8_000,
            },
        ),
    ],
)
async def test_policy_refunds_what_is_left_once(saga: Saga, borne_by: LossBearer, wanted: dict[Account, int]) -> None:
    policy = REFUND.model_copy(update={"lost_dispute_borne_by": borne_by})
    warned = await warn(saga, await saga.completed(policy=policy))
    for _ in range(2):
        assert await (await warned.notify()).result() is RefundStatus.SUCCEEDED
    [refund] = await warned.refunds()
    assert (refund.id, refund.fraud_warning_id) == (warned.refund_id, warned.warning_id)
    [at_stripe] = await refunds_at_stripe(saga, warned.booked)
    assert (at_stripe.amount, at_stripe.reason) == (10_000, "fraudulent")
    assert (await payment_totals(warned.booked))[0] is PaymentStatus.REFUNDED
    assert await balances(saga, warned.booked) == wanted
    assert not (await warned.booking()).needs_attention


async def test_policy_refunds_only_the_rest(saga: Saga) -> None:
    booked = await saga.completed(policy=REFUND)
    await refund_booking(saga, booked, 4_000)
    warned = await warn(saga, booked)
    assert await (await warned.notify()).result() is RefundStatus.SUCCEEDED
    assert sorted(refund.amount for refund in await refunds_at_stripe(saga, booked)) == [4_000, 6_000]


async def test_disputed_payment_is_not_refunded(saga: Saga) -> None:
    booked = await saga.completed(policy=REFUND)
    warned = await warn(saga, booked)
    await open_dispute(saga, booked)
    assert await (await warned.notify()).result() is None
    assert await warned.refunds() == []


async def test_held_charge_is_refunded_and_a_hold_once_it_is_captured(saga: Saga) -> None:
    booked = await saga.accepted(policy=REFUND)
    warned = await warn(saga, booked)
    handle = await warned.notify()
    if saga.plan is PaymentPlan.HOLD:
        await booked.until_ended()
        assert await warned.refunds() == []
        await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
        assert await handle.result() is RefundStatus.SUCCEEDED
    else:
        view = await booked.result()
        assert (view.booking_status, view.end_reason) == (BookingStatus.CANCELLED, EndReason.CANCELLED)
        assert await saga.env.get_current_time() < booked.order.terms.starts_at
        assert await handle.result() is None
        [refund] = await refunds_at_stripe(saga, booked)
        assert (refund.amount, refund.reason) == (10_000, "fraudulent")
        assert await balances(saga, booked) == {Account.STRIPE_BALANCE: -320, Account.STRIPE_FEES: 320}
    assert len(await warned.warnings_recorded()) == 1
    assert (await payment_totals(booked))[0] is PaymentStatus.REFUNDED
    assert not (await warned.booking()).needs_attention


async def test_operator_is_told_of_a_held_charge_until_it_is_dismissed(saga: Saga) -> None:
    """Also beyond the booking's end. Of a hold, they are told once it is captured."""
    booked = await saga.accepted()
    warned = await warn(saga, booked)
    handle = await warned.notify()
    await saga.until_audited(booked, WARNED)
    is_held_charge = saga.plan is PaymentPlan.CHARGE_THEN_TRANSFER
    assert (await warned.booking()).needs_attention is is_held_charge
    await booked.until_ended()
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert (await warned.booking()).needs_attention is is_held_charge
    assert await handle.result() is None
    assert (await warned.booking()).needs_attention
    await warned.dismiss()
    assert await (await warned.notify()).result() is None
    assert not (await warned.booking()).needs_attention


async def test_dismissed_warning_about_held_money_leads_to_nothing(saga: Saga) -> None:
    booked = await saga.accepted(policy=REFUND, starts_in=timedelta(minutes=5), lasts=timedelta(hours=5))
    await booked.until_begun()
    warned = await warn(saga, booked)
    await warned.notify()
    await saga.until_audited(booked, WARNED)
    # A session that has begun is not cancelled: who bears the refund depends on how it ends.
    assert (await warned.booking()).needs_attention is (saga.plan is PaymentPlan.CHARGE_THEN_TRANSFER)
    assert (await warned.booking()).status is BookingStatus.ACCEPTED
    await warned.dismiss()
    await saga.until_over(await warned.notify())
    assert not (await warned.booking()).needs_attention
    await booked.until_ended()
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert await warned.refunds() == []


async def test_warning_about_a_released_hold_needs_nothing(saga: Saga) -> None:
    booked = await saga.booked()
    await booked.pay()
    await saga.until_stored(booked, PaymentStatus.PENDING)
    warned = await warn(saga, booked)
    handle = await warned.notify()
    await booked.handle.cancel()
    assert await handle.result() is None
    assert not (await warned.booking()).needs_attention
    assert await warned.refunds() == []


async def test_warning_about_a_charge_without_booking_is_ignored(saga: Saga) -> None:
    intent = await saga.stripe.v1.payment_intents.create_async(
        {
            "amount": 700,
            "currency": "usd",
            "payment_method": "pm_card_createIssuerFraudRecord",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "confirm": True,
        }
    )
    found = await saga.stripe.v1.radar.early_fraud_warnings.list_async({"payment_intent": intent.id})
    warned = Warned(saga, await saga.completed(), found.data[0].id)
    assert await (await warned.notify()).result() is None
    assert await warned.warnings_recorded() == []


async def test_warning_that_stripe_does_not_know_is_dropped(saga: Saga) -> None:
    warned = Warned(saga, await saga.completed(), "issfr_of_nobody")
    assert await (await warned.notify()).result() is None
    assert await warned.refunds() == []
