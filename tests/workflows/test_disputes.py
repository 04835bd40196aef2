"""A dispute is answered in time and carried to its end; books, instructor and student are as the policy says."""

from collections import Counter
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
import stripe
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError

from models.domain.actors import Actor, Role, SignUpRole
from models.domain.attendance import AttendanceKind, MeetingProvider
from models.domain.disputes import DisputeDecision, DisputeEvent, DisputeOrder, DisputeResponse
from models.domain.errors import Unknown
from models.domain.ids import dispute_workflow_id, receipt_number
from models.domain.ledger import Account
from models.domain.messages import Approve, Complete
from models.domain.policy import BookingPolicy, LossBearer
from models.domain.states import DisputeStatus, PaymentStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import AttendanceEvent
from models.tables.disputes import Dispute
from models.tables.ledger import LedgerEntry, LedgerTransaction
from models.tables.outbox import OutboxMessage
from models.tables.payments import Payment
from tests.workflows.saga import QUEUE, Booked, Saga
from workflows.booking.workflow import BookingWorkflow
from workflows.disputes import DisputeWorkflow

OPERATOR = Actor(role=Role.OPERATOR, id=uuid4())
DAY = timedelta(days=1)

Handle = WorkflowHandle[DisputeWorkflow, DisputeStatus | None]


async def completed(saga: Saga, policy: BookingPolicy | None = None) -> Booked:
    """100.00 USD captured: 80.00 the instructor's, 20.00 the platform's."""
    booked = await saga.paid(policy=policy)
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await booked.until_begun()
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    return booked


async def disputed(saga: Saga, booked: Booked, **wish: bool) -> stripe.Dispute:
    intent = await booked.payment_intent()
    assert intent is not None
    charge = intent.latest_charge
    asked = {"charge": charge.id if isinstance(charge, stripe.Charge) else charge, **wish}
    async with httpx.AsyncClient(base_url=saga.stripe_url, trust_env=False) as browser:
        opened = (await browser.post("/_sandbox/disputes", json=asked)).raise_for_status()
    return await saga.stripe.v1.disputes.retrieve_async(opened.json()["id"])


async def started(saga: Saga, dispute_id: str) -> Handle:
    """As the webhook does."""
    await hear(saga, dispute_id)
    return saga.env.client.get_workflow_handle_for(DisputeWorkflow.run, dispute_workflow_id(dispute_id))


async def hear(saga: Saga, dispute_id: str) -> None:
    await saga.env.client.start_workflow(
        DisputeWorkflow.run,
        DisputeOrder(dispute_id=dispute_id),
        id=dispute_workflow_id(dispute_id),
        task_queue=QUEUE,
        start_signal="dispute_event",
        start_signal_args=[DisputeEvent(event_id=f"evt_{uuid4().hex}", type="charge.dispute.test")],
    )


async def balances(saga: Saga, booked: Booked) -> dict[Account, int]:
    query = (
        select(LedgerEntry)
        .join(LedgerTransaction, col(LedgerTransaction.id) == col(LedgerEntry.transaction_id))
        .where(col(LedgerTransaction.booking_id) == booked.order.terms.booking_id)
    )
    sums: Counter[Account] = Counter()
    async with AsyncSession(saga.engine) as session:
        for entry in await session.exec(query):
            sums[entry.account] += entry.amount_minor
    return {account: amount for account, amount in sums.items() if amount}


async def attended(saga: Saga, booked: Booked) -> None:
    """The student is there for half an hour, the instructor for all of it; and everybody has had their mails."""
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


async def until_shown(saga: Saga, dispute_id: str, status: DisputeStatus) -> None:
    for _ in range(60):
        async with AsyncSession(saga.engine) as session:
            row = await session.get(Dispute, dispute_id)
        if row is not None and row.status is status:
            return
        await saga.env.sleep(1)
    raise AssertionError(f"{status} never came")


async def decide_at_the_bank(saga: Saga, dispute_id: str, evidence: str) -> None:
    """The sandbox's bank goes by a word in the evidence."""
    await saga.stripe.v1.disputes.update_async(
        dispute_id, {"evidence": {"uncategorized_text": evidence}, "submit": True}
    )


async def test_without_an_operator_the_story_is_told_to_the_bank_before_the_deadline(saga: Saga) -> None:
    booked = await completed(saga)
    await attended(saga, booked)
    dispute = await disputed(saga, booked)
    await started(saga, dispute.id)
    await until_shown(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    payment = await booked.payment()
    assert payment is not None
    assert payment.status is PaymentStatus.DISPUTED
    assert (await balances(saga, booked))[Account.DISPUTES] == 10_000
    # The sandbox's clock stands: seven days of nine, on the workflow's.
    await saga.env.sleep(timedelta(days=8))
    told = await saga.stripe.v1.disputes.retrieve_async(dispute.id)
    assert told.status == "under_review"
    assert told.evidence.customer_name
    assert "Live one-to-one session" in (told.evidence.product_description or "")
    log = told.evidence.access_activity_log or ""
    assert "booking.completed by instructor" in log
    assert log.index("student joined the meeting") < log.index("instructor left the meeting")
    assert "mail to the student: completed" in log
    assert receipt_number(booked.order.terms.booking_id) in (told.evidence.uncategorized_text or "")
    assert "both at once for 30" in (told.evidence.uncategorized_text or "")
    assert "Policy" in (told.evidence.refund_policy_disclosure or "")


async def test_a_lost_dispute_takes_the_share_back_from_the_instructor(saga: Saga) -> None:
    booked = await completed(saga)
    dispute = await disputed(saga, booked)
    handle = await started(saga, dispute.id)
    await until_shown(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    await decide_at_the_bank(saga, dispute.id, "losing_evidence")
    await hear(saga, dispute.id)
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


async def test_by_policy_the_platform_bears_a_lost_dispute(saga: Saga) -> None:
    booked = await completed(saga, BookingPolicy(lost_dispute_borne_by=LossBearer.PLATFORM))
    dispute = await disputed(saga, booked)
    handle = await started(saga, dispute.id)
    await until_shown(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    await decide_at_the_bank(saga, dispute.id, "losing_evidence")
    await hear(saga, dispute.id)
    assert await handle.result() is DisputeStatus.LOST
    assert await balances(saga, booked) == {
        Account.STRIPE_BALANCE: 2_000 - 10_000 - 320 - 1_500,
        Account.CONNECTED_BALANCE: 8_000,
        Account.INSTRUCTOR_PAYABLE: -8_000,
        Account.PLATFORM_LOSSES: 8_000,
        Account.STRIPE_FEES: 320 + 1_500,
    }


@pytest.mark.parametrize("fee_minor", [1_500, 0])
async def test_a_won_dispute_leaves_only_its_fee_if_stripe_keeps_it(saga: Saga, fee_minor: int) -> None:
    booked = await completed(saga)
    dispute = await disputed(saga, booked, fee_comes_back=not fee_minor)
    handle = await started(saga, dispute.id)
    await until_shown(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    await decide_at_the_bank(saga, dispute.id, "winning_evidence")
    await hear(saga, dispute.id)
    assert await handle.result() is DisputeStatus.WON
    seen = await balances(saga, booked)
    assert (seen[Account.STRIPE_FEES], seen[Account.INSTRUCTOR_PAYABLE]) == (320 + fee_minor, -8_000)
    assert seen[Account.STRIPE_BALANCE] == 2_000 - 320 - fee_minor
    assert Account.DISPUTES not in seen
    payment = await booked.payment()
    assert payment is not None
    assert payment.status is PaymentStatus.CAPTURED


async def test_a_lost_event_costs_time_alone(saga: Saga) -> None:
    booked = await completed(saga)
    dispute = await disputed(saga, booked)
    handle = await started(saga, dispute.id)
    await until_shown(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    await decide_at_the_bank(saga, dispute.id, "losing_evidence")
    await saga.env.sleep(7 * DAY + timedelta(minutes=1))
    assert await handle.result() is DisputeStatus.LOST


async def test_an_operator_takes_over_and_nothing_is_sent_by_itself(saga: Saga) -> None:
    booked = await completed(saga)
    dispute = await disputed(saga, booked)
    handle = await started(saga, dispute.id)
    await until_shown(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    await handle.execute_update(
        DisputeWorkflow.decide, DisputeDecision(actor=OPERATOR, answer=DisputeResponse.TAKEN_OVER)
    )
    await saga.env.sleep(DAY)
    # Nor by the run that goes on after one that was ended from outside.
    await handle.terminate()
    await hear(saga, dispute.id)
    await saga.env.sleep(10 * DAY)
    assert (await saga.stripe.v1.disputes.retrieve_async(dispute.id)).status == "needs_response"


async def test_an_operator_sends_the_evidence_at_once_and_only_once(saga: Saga) -> None:
    booked = await completed(saga)
    dispute = await disputed(saga, booked)
    handle = await started(saga, dispute.id)
    await until_shown(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    saga.faults.fail("after", "submit_dispute_evidence", Unknown("the answer was lost"))
    await handle.execute_update(
        DisputeWorkflow.decide, DisputeDecision(actor=OPERATOR, answer=DisputeResponse.EVIDENCE)
    )
    await until_shown(saga, dispute.id, DisputeStatus.UNDER_REVIEW)
    told = await saga.stripe.v1.disputes.retrieve_async(dispute.id)
    assert told.evidence_details.submission_count == 1
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(
            DisputeWorkflow.decide, DisputeDecision(actor=OPERATOR, answer=DisputeResponse.EVIDENCE)
        )


async def test_an_accepted_dispute_is_lost(saga: Saga) -> None:
    booked = await completed(saga)
    dispute = await disputed(saga, booked)
    handle = await started(saga, dispute.id)
    await until_shown(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    await handle.execute_update(
        DisputeWorkflow.decide, DisputeDecision(actor=OPERATOR, answer=DisputeResponse.ACCEPTED)
    )
    assert await handle.result() is DisputeStatus.LOST
    async with AsyncSession(saga.engine) as session:
        told = await session.exec(
            select(AuditEvent.action, AuditEvent.actor_id)
            .where(col(AuditEvent.booking_id) == booked.order.terms.booking_id)
            .order_by(col(AuditEvent.seq))
        )
        assert list(told)[-3:] == [
            ("booking.dispute_opened", None),
            ("booking.dispute_accepted", OPERATOR.id),
            ("booking.dispute_lost", None),
        ]


async def test_a_reversal_whose_answer_is_lost_is_made_once(saga: Saga) -> None:
    booked = await completed(saga)
    dispute = await disputed(saga, booked)
    saga.faults.fail("after", "reverse_disputed_transfer", Unknown("the answer was lost"))
    saga.faults.fail("after", "record_dispute_end", Unknown("the answer was lost"))
    await decide_at_the_bank(saga, dispute.id, "losing_evidence")
    handle = await started(saga, dispute.id)
    assert await handle.result() is DisputeStatus.LOST
    # Late news of what is over changes nothing.
    again = await started(saga, dispute.id)
    assert await again.result() is DisputeStatus.LOST
    assert saga.faults.all_taken
    seen = await balances(saga, booked)
    assert Account.CONNECTED_BALANCE not in seen
    async with AsyncSession(saga.engine) as session:
        payment = await session.get_one(Payment, booked.order.terms.booking_id)
    assert payment.returned_minor == 10_000


async def test_a_charge_that_is_no_bookings_is_left_alone(saga: Saga) -> None:
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
    handle = await started(saga, dispute.id)
    assert await handle.result() is None
