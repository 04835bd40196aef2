"""An instructor's share is followed to the bank, back from it, and there again; the books go with it."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowHandle

from models.domain.errors import Unknown
from models.domain.ids import payout_workflow_id
from models.domain.ledger import Account
from models.domain.messages import Approve, Complete
from models.domain.notifications import NotificationKind
from models.domain.payouts import PayoutEvent, PayoutOrder, PayoutPhase
from models.domain.states import PayoutStatus
from models.tables.audit import AuditEvent
from models.tables.ledger import LedgerEntry, LedgerTransaction
from models.tables.outbox import OutboxMessage
from models.tables.payments import InstructorPayout
from models.tables.people import Instructor
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.bank import DAY_SECONDS, UNTIL_SENT, Bank, bank_of
from tests.workflows.saga import QUEUE, Booked, Saga
from workflows.booking.workflow import BookingWorkflow
from workflows.payouts import PayoutWorkflow

Handle = WorkflowHandle[PayoutWorkflow, PayoutPhase | None]


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


async def completed(saga: Saga) -> Booked:
    """100.00 USD captured: 80.00 the instructor's, 20.00 the platform's."""
    booked = await saga.paid()
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await booked.until_begun()
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    return booked


async def hear(bank: Bank, payout_id: str) -> Handle:
    """As the webhook does."""
    return await bank.saga.env.client.start_workflow(
        PayoutWorkflow.run,
        PayoutOrder(payout_id=payout_id, account_id=bank.account_id),
        id=payout_workflow_id(payout_id),
        task_queue=QUEUE,
        start_signal="payout_event",
        start_signal_args=[PayoutEvent(event_id=f"evt_{uuid4().hex}", type="payout.test")],
    )


async def share(booked: Booked) -> InstructorPayout:
    query = select(InstructorPayout).where(col(InstructorPayout.booking_id) == booked.order.terms.booking_id)
    async with AsyncSession(booked.saga.engine) as session:
        return (await session.exec(query)).one()


async def until_share(booked: Booked, status: PayoutStatus, payout_id: str) -> InstructorPayout:
    for _ in range(60):
        row = await share(booked)
        if (row.status, row.stripe_payout_id) == (status, payout_id):
            return row
        await booked.saga.env.sleep(1)
    raise AssertionError(f"{status} never came: {row}")


async def balances(saga: Saga, instructor_id: UUID) -> dict[Account, int]:
    """Of the instructor's accounts in the ledger."""
    query = (
        select(LedgerEntry)
        .join(LedgerTransaction, col(LedgerTransaction.id) == col(LedgerEntry.transaction_id))
        .where(
            col(LedgerTransaction.instructor_id) == instructor_id,
            col(LedgerEntry.account).in_([Account.CONNECTED_BALANCE, Account.INSTRUCTOR_PAYABLE]),
        )
    )
    sums: Counter[Account] = Counter()
    async with AsyncSession(saga.engine) as session:
        for entry in await session.exec(query):
            sums[entry.account] += entry.amount_minor
    return {account: amount for account, amount in sums.items() if amount}


async def mails(saga: Saga) -> list[tuple[NotificationKind, int]]:
    """About payouts: what, and how many sessions it pays."""
    query = (
        select(OutboxMessage)
        .where(col(OutboxMessage.booking_id).is_(None))
        .order_by(col(OutboxMessage.created_at), col(OutboxMessage.kind))
    )
    async with AsyncSession(saga.engine) as session:
        return [(mail.kind, mail.facts["sessions"]) for mail in await session.exec(query)]


async def actions(saga: Saga, instructor_id: UUID) -> list[str]:
    query = (
        select(AuditEvent.action)
        .where(col(AuditEvent.subject_id) == instructor_id, col(AuditEvent.action).like("instructor.payout%"))
        .order_by(col(AuditEvent.seq))
    )
    async with AsyncSession(saga.engine) as session:
        return list(await session.exec(query))


async def test_a_share_is_followed_to_the_bank(saga: Saga) -> None:
    booked = await completed(saga)
    instructor_id, bank = booked.order.terms.instructor_id, bank_of(booked)
    assert (await share(booked)).stripe_payout_id is None
    await bank.wait(UNTIL_SENT)
    payout = await bank.payout()
    handle = await hear(bank, payout.id)
    on_its_way = await until_share(booked, PayoutStatus.PROCESSING, payout.id)
    assert on_its_way.expected_at
    assert int(on_its_way.expected_at.timestamp()) == payout.arrival_date
    assert await balances(saga, instructor_id) == {}
    assert await mails(saga) == []
    await bank.wait(2 * DAY_SECONDS)
    # Nothing is heard of it: it looks by itself.
    await saga.env.sleep(timedelta(days=1, minutes=1))
    assert await handle.result() is PayoutPhase.ARRIVED
    arrived = await share(booked)
    assert (arrived.status, bool(arrived.paid_at), arrived.failure_reason) == (PayoutStatus.PAID, True, None)
    assert await mails(saga) == [(NotificationKind.PAYOUT_PAID, 1)]
    assert await actions(saga, instructor_id) == ["instructor.payout_made", "instructor.payout_paid"]


async def test_a_payout_that_fails_is_told_and_the_next_one_pays(saga: Saga) -> None:
    booked = await completed(saga)
    instructor_id, bank = booked.order.terms.instructor_id, bank_of(booked)
    await bank.give_account("btok_us_accountClosed")
    await bank.wait(UNTIL_SENT + 2 * DAY_SECONDS)
    failed = await bank.payout()
    handle = await hear(bank, failed.id)
    assert await handle.result() is PayoutPhase.FAILED
    row = await share(booked)
    assert (row.status, row.failure_reason) == (PayoutStatus.FAILED, "account_closed")
    assert await balances(saga, instructor_id) == {Account.CONNECTED_BALANCE: 8_000, Account.INSTRUCTOR_PAYABLE: -8_000}
    assert await mails(saga) == [(NotificationKind.PAYOUT_FAILED, 1)]
    await bank.give_account("btok_us_verified")
    await bank.wait(DAY_SECONDS)
    again, _ = await bank.payouts()
    handle = await hear(bank, again.id)
    on_its_way = await until_share(booked, PayoutStatus.PROCESSING, again.id)
    assert on_its_way.failure_reason is None
    await bank.wait(2 * DAY_SECONDS)
    await hear(bank, again.id)
    assert await handle.result() is PayoutPhase.ARRIVED
    assert (await share(booked)).status is PayoutStatus.PAID
    assert await balances(saga, instructor_id) == {}
    assert sorted(await mails(saga)) == [(NotificationKind.PAYOUT_FAILED, 1), (NotificationKind.PAYOUT_PAID, 1)]


async def test_a_failure_that_nobody_heard_of_is_written_down_with_the_payout_that_carries_its_money(
    saga: Saga,
) -> None:
    booked = await completed(saga)
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT)
    lost = await bank.payout()
    await hear(bank, lost.id)
    await until_share(booked, PayoutStatus.PROCESSING, lost.id)
    await bank.send_back(lost.id)
    await bank.give_account("btok_us_verified")
    await bank.wait(3 * DAY_SECONDS)
    again, _ = await bank.payouts()
    assert await (await hear(bank, again.id)).result() is PayoutPhase.ARRIVED
    row = await share(booked)
    assert (row.status, row.stripe_payout_id) == (PayoutStatus.PAID, again.id)
    # Late news of the first changes nothing.
    assert await (await hear(bank, lost.id)).result() is PayoutPhase.FAILED
    row = await share(booked)
    assert (row.status, row.stripe_payout_id) == (PayoutStatus.PAID, again.id)
    assert await balances(saga, booked.order.terms.instructor_id) == {}
    assert sorted(await mails(saga)) == [(NotificationKind.PAYOUT_FAILED, 1), (NotificationKind.PAYOUT_PAID, 1)]


async def test_a_bank_may_send_back_what_had_arrived(saga: Saga) -> None:
    booked = await completed(saga)
    instructor_id, bank = booked.order.terms.instructor_id, bank_of(booked)
    await bank.wait(UNTIL_SENT + 2 * DAY_SECONDS)
    payout = await bank.payout()
    assert await (await hear(bank, payout.id)).result() is PayoutPhase.ARRIVED
    await bank.send_back(payout.id, "no_account")
    assert await (await hear(bank, payout.id)).result() is PayoutPhase.FAILED
    row = await share(booked)
    assert (row.status, row.failure_reason, row.paid_at) == (PayoutStatus.FAILED, "no_account", None)
    assert (await balances(saga, instructor_id))[Account.CONNECTED_BALANCE] == await bank.has() == 8_000


async def test_a_clawback_after_the_payout_leaves_a_balance_below_zero_that_the_books_show(saga: Saga) -> None:
    booked = await completed(saga)
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT + 2 * DAY_SECONDS)
    payout = await bank.payout()
    assert await (await hear(bank, payout.id)).result() is PayoutPhase.ARRIVED
    intent = await booked.payment_intent()
    assert intent is not None
    await saga.stripe.v1.refunds.create_async(
        {"payment_intent": intent.id, "amount": 5_000, "reverse_transfer": True, "refund_application_fee": True}
    )
    assert await bank.has() == -4_000
    await bank.wait(3 * DAY_SECONDS)
    # What it owes is no payout.
    assert await bank.payout() == payout


async def test_an_answer_that_is_lost_pays_nobody_twice(saga: Saga) -> None:
    booked = await completed(saga)
    instructor_id, bank = booked.order.terms.instructor_id, bank_of(booked)
    await bank.wait(UNTIL_SENT + 2 * DAY_SECONDS)
    payout = await bank.payout()
    saga.faults.fail("after", "look_up_payout", Unknown("the answer was lost"))
    saga.faults.fail("after", "record_payout", Unknown("the answer was lost"))
    assert await (await hear(bank, payout.id)).result() is PayoutPhase.ARRIVED
    assert saga.faults.all_taken
    assert await balances(saga, instructor_id) == {}
    assert await mails(saga) == [(NotificationKind.PAYOUT_PAID, 1)]


async def test_a_payout_made_by_hand_is_in_the_books_of_its_instructor_alone(saga: Saga) -> None:
    booked = await completed(saga)
    instructor_id, bank = booked.order.terms.instructor_id, bank_of(booked)
    await saga.stripe.v1.accounts.update_async(
        bank.account_id, {"settings": {"payouts": {"schedule": {"interval": "manual"}}}}
    )
    await bank.wait(UNTIL_SENT)
    by_hand = await saga.stripe.v1.payouts.create_async(
        {"amount": 3_000, "currency": "usd"}, {"stripe_account": bank.account_id}
    )
    await saga.stripe.v1.payouts.cancel_async(by_hand.id, options={"stripe_account": bank.account_id})
    assert await (await hear(bank, by_hand.id)).result() is PayoutPhase.CALLED_OFF
    assert (await balances(saga, instructor_id))[Account.CONNECTED_BALANCE] == await bank.has() == 8_000
    assert (await share(booked)).stripe_payout_id is None


async def test_an_account_that_is_no_instructors_is_left_alone(saga: Saga) -> None:
    booked = await completed(saga)
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT)
    payout = await bank.payout()
    async with AsyncSession(saga.engine) as session, session.begin():
        instructor = await session.get_one(Instructor, booked.order.terms.instructor_id)
        instructor.stripe_account_id = None
    assert await (await hear(bank, payout.id)).result() is None
