"""Disputes: evidence is submitted in time, and the ledger follows the outcome and the policy."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowUpdateFailedError

from models.domain.actors import Actor, Role, SignUpRole
from models.domain.attendance import AttendanceKind, MeetingProvider
from models.domain.disputes import DisputeDecision, DisputeResponse
from models.domain.errors import Unknown
from models.domain.ids import receipt_number
from models.domain.ledger import Account
from models.domain.policy import BookingPolicy, LossBearer
from models.domain.states import DisputeStatus, PaymentStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import AttendanceEvent
from models.tables.outbox import OutboxMessage
from models.tables.payments import Payment
from tests.workflows.dispute_steps import (
    balances,
    decide_at_the_bank,
    notify_dispute,
    open_dispute,
    start_dispute,
    until_dispute_is,
)
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.disputes import DisputeWorkflow

pytestmark = both_plans

OPERATOR = Actor(role=Role.OPERATOR, id=uuid4())
DAY = timedelta(days=1)


async def attend(saga: Saga, booked: Booked) -> None:
    """The student attends for half an hour and the instructor for the hour. All mails are sent."""
    terms = booked.order.terms
    seen = [
        (AttendanceKind.JOINED, SignUpRole.INSTRUCTOR, terms.starts_at),
        (AttendanceKind.JOINED, SignUpRole.STUDENT, terms.starts_at + timedelta(minutes=5)),
        (AttendanceKind.LEFT, SignUpRole.STUDENT, terms.starts_at + timedelta(minutes=35)),
        (AttendanceKind.LEFT, SignUpRole.INSTRUCTOR, terms.ends_at),
    ]
    async with AsyncSession(saga.engine) as session:
        session.add_all(
            AttendanceEvent(
                id=str(uuid4()),
                booking_id=terms.booking_id,
                kind=kind,
                role=role,
                connection=role,
                at=at,
                source=MeetingProvider.JITSI,
            )
            for kind, role, at in seen
        )
        sent = update(OutboxMessage).where(col(OutboxMessage.booking_id) == terms.booking_id)
        await session.exec(sent.values(sent_at=terms.ends_at))
        await session.commit()


async def test_evidence_is_submitted_automatically_before_the_deadline(saga: Saga) -> None:
    booked = await saga.completed()
    await attend(saga, booked)
    dispute = await open_dispute(saga, booked)
    await start_dispute(saga, dispute.id)
    await until_dispute_is(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    payment = await booked.payment()
    assert payment is not None
    assert payment.status is PaymentStatus.DISPUTED
    assert (await balances(saga, booked))[Account.DISPUTES] == 10_000
    # On the workflow's clock alone, since the sandbox's stands still: seven days of nine.
    await saga.env.sleep(timedelta(days=8))
    submitted = await saga.stripe.v1.disputes.retrieve_async(dispute.id)
    assert submitted.status == "under_review"
    assert submitted.evidence.customer_name
    assert "Live one-to-one session" in (submitted.evidence.product_description or "")
    log = submitted.evidence.access_activity_log or ""
    assert "booking.completed by instructor" in log
    assert log.index("student joined the meeting") < log.index("instructor left the meeting")
    assert "mail to the student: completed" in log
    assert receipt_number(booked.order.terms.booking_id) in (submitted.evidence.uncategorized_text or "")
    assert "both at once for 30" in (submitted.evidence.uncategorized_text or "")
    assert "Policy" in (submitted.evidence.refund_policy_disclosure or "")


async def test_lost_dispute_reverses_the_transfer(saga: Saga) -> None:
    booked = await saga.completed()
    dispute = await open_dispute(saga, booked)
    handle = await start_dispute(saga, dispute.id)
    await until_dispute_is(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    await decide_at_the_bank(saga, dispute.id, "losing_evidence")
    await notify_dispute(saga, dispute.id)
    assert await handle.result() is DisputeStatus.LOST
    assert await balances(saga, booked) == {
        Account.STRIPE_BALANCE: -320 - 1_500,
        Account.STRIPE_FEES: 320 + 1_500,
    }
    payment = await booked.payment()
    assert payment is not None
    assert (payment.status, payment.captured_minor, payment.returned_minor) == (PaymentStatus.REFUNDED, 0, 10_000)
    account = booked.order.terms.stripe_account_id
    balance = await saga.stripe.v1.balance.retrieve_async(options={"stripe_account": account})
    assert sum(part["amount"] for part in [*balance.available, *balance.pending]) == 0


async def test_platform_bears_a_lost_dispute_if_the_policy_says_so(saga: Saga) -> None:
    booked = await saga.completed(policy=BookingPolicy(lost_dispute_borne_by=LossBearer.PLATFORM))
    dispute = await open_dispute(saga, booked)
    handle = await start_dispute(saga, dispute.id)
    await until_dispute_is(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    await decide_at_the_bank(saga, dispute.id, "losing_evidence")
    await notify_dispute(saga, dispute.id)
    assert await handle.result() is DisputeStatus.LOST
    assert await balances(saga, booked) == {
        Account.STRIPE_BALANCE: 2_000 - 10_000 - 320 - 1_500,
        Account.CONNECTED_BALANCE: 8_000,
        Account.INSTRUCTOR_PAYABLE: -8_000,
        Account.PLATFORM_LOSSES: 8_000,
        Account.STRIPE_FEES: 320 + 1_500,
    }


@pytest.mark.parametrize("fee_minor", [1_500, 0])
async def test_won_dispute_costs_at_most_its_fee(saga: Saga, fee_minor: int) -> None:
    booked = await saga.completed()
    dispute = await open_dispute(saga, booked, fee_comes_back=not fee_minor)
    handle = await start_dispute(saga, dispute.id)
    await until_dispute_is(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    await decide_at_the_bank(saga, dispute.id, "winning_evidence")
    await notify_dispute(saga, dispute.id)
    assert await handle.result() is DisputeStatus.WON
    seen = await balances(saga, booked)
    assert (seen[Account.STRIPE_FEES], seen[Account.INSTRUCTOR_PAYABLE]) == (320 + fee_minor, -8_000)
    assert seen[Account.STRIPE_BALANCE] == 2_000 - 320 - fee_minor
    assert Account.DISPUTES not in seen
    payment = await booked.payment()
    assert payment is not None
    assert payment.status is PaymentStatus.CAPTURED


async def test_dispute_is_looked_up_when_its_event_is_lost(saga: Saga) -> None:
    booked = await saga.completed()
    dispute = await open_dispute(saga, booked)
    handle = await start_dispute(saga, dispute.id)
    await until_dispute_is(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    await decide_at_the_bank(saga, dispute.id, "losing_evidence")
    await saga.env.sleep(7 * DAY + timedelta(minutes=1))
    assert await handle.result() is DisputeStatus.LOST


async def test_nothing_is_submitted_automatically_after_an_operator_takes_over(saga: Saga) -> None:
    booked = await saga.completed()
    dispute = await open_dispute(saga, booked)
    handle = await start_dispute(saga, dispute.id)
    await until_dispute_is(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    await handle.execute_update(
        DisputeWorkflow.decide, DisputeDecision(actor=OPERATOR, answer=DisputeResponse.TAKEN_OVER)
    )
    await saga.env.sleep(DAY)
    # Nor does the run that follows a terminated one.
    await handle.terminate()
    await notify_dispute(saga, dispute.id)
    await saga.env.sleep(10 * DAY)
    assert (await saga.stripe.v1.disputes.retrieve_async(dispute.id)).status == "needs_response"


async def test_operator_submits_the_evidence_once(saga: Saga) -> None:
    booked = await saga.completed()
    dispute = await open_dispute(saga, booked)
    handle = await start_dispute(saga, dispute.id)
    await until_dispute_is(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    saga.faults.fail("after", "submit_dispute_evidence", Unknown("the response was lost"))
    await handle.execute_update(
        DisputeWorkflow.decide, DisputeDecision(actor=OPERATOR, answer=DisputeResponse.EVIDENCE)
    )
    await until_dispute_is(saga, dispute.id, DisputeStatus.UNDER_REVIEW)
    submitted = await saga.stripe.v1.disputes.retrieve_async(dispute.id)
    assert submitted.evidence_details.submission_count == 1
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(
            DisputeWorkflow.decide, DisputeDecision(actor=OPERATOR, answer=DisputeResponse.EVIDENCE)
        )


async def test_an_answer_that_is_being_sent_is_not_replaced(saga: Saga) -> None:
    dispute = await open_dispute(saga, await saga.completed())
    handle = await start_dispute(saga, dispute.id)
    await until_dispute_is(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)

    refused = []

    async def accept_instead() -> None:
        try:
            await handle.execute_update(
                DisputeWorkflow.decide, DisputeDecision(actor=OPERATOR, answer=DisputeResponse.ACCEPTED)
            )
        except WorkflowUpdateFailedError as error:
            refused.append(error)

    # Stripe has the evidence, and the workflow has not looked the dispute up again.
    saga.faults.plan("after", "submit_dispute_evidence", accept_instead)
    await handle.execute_update(
        DisputeWorkflow.decide, DisputeDecision(actor=OPERATOR, answer=DisputeResponse.EVIDENCE)
    )
    await until_dispute_is(saga, dispute.id, DisputeStatus.UNDER_REVIEW)
    assert len(refused) == 1


async def test_accepted_dispute_is_lost(saga: Saga) -> None:
    booked = await saga.completed()
    dispute = await open_dispute(saga, booked)
    handle = await start_dispute(saga, dispute.id)
    await until_dispute_is(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    await handle.execute_update(
        DisputeWorkflow.decide, DisputeDecision(actor=OPERATOR, answer=DisputeResponse.ACCEPTED)
    )
    assert await handle.result() is DisputeStatus.LOST
    async with AsyncSession(saga.engine) as session:
        events = await session.exec(
            select(AuditEvent.action, AuditEvent.actor_id)
            .where(col(AuditEvent.booking_id) == booked.order.terms.booking_id)
            .order_by(col(AuditEvent.seq))
        )
        assert list(events)[-3:] == [
            ("booking.dispute_opened", None),
            ("booking.dispute_accepted", OPERATOR.id),
            ("booking.dispute_lost", None),
        ]


async def test_transfer_is_reversed_once_when_the_response_is_lost(saga: Saga) -> None:
    booked = await saga.completed()
    dispute = await open_dispute(saga, booked)
    saga.faults.fail("after", "reverse_disputed_transfer", Unknown("the response was lost"))
    saga.faults.fail("after", "record_dispute_end", Unknown("the response was lost"))
    await decide_at_the_bank(saga, dispute.id, "losing_evidence")
    handle = await start_dispute(saga, dispute.id)
    assert await handle.result() is DisputeStatus.LOST
    # A late event changes nothing.
    again = await start_dispute(saga, dispute.id)
    assert await again.result() is DisputeStatus.LOST
    assert saga.faults.all_taken
    seen = await balances(saga, booked)
    assert Account.CONNECTED_BALANCE not in seen
    async with AsyncSession(saga.engine) as session:
        payment = await session.get_one(Payment, booked.order.terms.booking_id)
    assert payment.returned_minor == 10_000


async def test_dispute_of_a_charge_without_booking_is_ignored(saga: Saga) -> None:
    intent = await saga.stripe.v1.payment_intents.create_async(
        {
            "amount": 700,
            "currency": "usd",
            "payment_method": "pm_card_createDispute",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "confirm": True,
        }
    )
    [dispute] = (await saga.stripe.v1.disputes.list_async({"payment_intent": intent.id})).data
    handle = await start_dispute(saga, dispute.id)
    assert await handle.result() is None
