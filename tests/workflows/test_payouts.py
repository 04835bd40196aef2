"""Payouts: an instructor's share is followed to the bank and back, and the ledger with it."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.worker import Worker

from activities.payouts import PayoutActivities
from activities.stripe.payouts import StripePayouts
from models.domain.errors import Unknown
from models.domain.ids import stripe_task_queue
from models.domain.ledger import Account
from models.domain.notifications import NotificationKind
from models.domain.payouts import PayoutOrder, PayoutPhase, PayoutState
from models.domain.policy import PaymentPlan
from models.domain.states import PayoutStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest
from models.tables.ledger import LedgerEntry, LedgerTransaction
from models.tables.outbox import OutboxMessage
from models.tables.people import Instructor
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.bank import DAY_SECONDS, UNTIL_SENT, bank_of
from tests.workflows.payout_steps import Handle, notify_payout, share, until_share
from tests.workflows.refund_steps import refund_in_dashboard, usual_flags
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.payouts import PayoutWorkflow
from workflows.search_attributes import NEEDS_ATTENTION

pytestmark = both_plans


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


async def balances(saga: Saga, instructor_id: UUID) -> dict[Account, int]:
    """The balances of the instructor's ledger accounts."""
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
    """The payout notifications: their kind, and how many sessions each pays."""
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


async def test_share_is_followed_to_the_bank(saga: Saga) -> None:
    booked = await saga.completed()
    instructor_id, bank = booked.order.terms.instructor_id, bank_of(booked)
    assert (await share(booked)).stripe_payout_id is None
    await bank.wait(UNTIL_SENT)
    payout = await bank.payout()
    handle = await notify_payout(bank, payout.id)
    on_its_way = await until_share(booked, PayoutStatus.PROCESSING, payout.id)
    assert on_its_way.expected_at
    assert int(on_its_way.expected_at.timestamp()) == payout.arrival_date
    assert await balances(saga, instructor_id) == {}
    assert await mails(saga) == []
    await bank.wait(2 * DAY_SECONDS)
    # Without an event, the workflow looks the payout up.
    await saga.env.sleep(timedelta(days=1, minutes=1))
    assert await handle.result() is PayoutPhase.ARRIVED
    arrived = await share(booked)
    assert (arrived.status, bool(arrived.paid_at), arrived.failure_reason) == (PayoutStatus.PAID, True, None)
    assert await mails(saga) == [(NotificationKind.PAYOUT_PAID, 1)]
    assert await actions(saga, instructor_id) == ["instructor.payout_made", "instructor.payout_paid"]


async def test_failed_payout_is_notified_and_the_next_one_pays(saga: Saga) -> None:
    booked = await saga.completed()
    instructor_id, bank = booked.order.terms.instructor_id, bank_of(booked)
    await bank.set_bank_account("btok_us_accountClosed")
    await bank.wait(UNTIL_SENT + 2 * DAY_SECONDS)
    failed = await bank.payout()
    handle = await notify_payout(bank, failed.id)
    assert await handle.result() is PayoutPhase.FAILED
    row = await share(booked)
    assert (row.status, row.failure_reason) == (PayoutStatus.FAILED, "account_closed")
    assert await balances(saga, instructor_id) == {Account.CONNECTED_BALANCE: 8_000, Account.INSTRUCTOR_PAYABLE: -8_000}
    assert await mails(saga) == [(NotificationKind.PAYOUT_FAILED, 1)]
    await bank.set_bank_account("btok_us_verified")
    await bank.wait(DAY_SECONDS)
    again, _ = await bank.payouts()
    handle = await notify_payout(bank, again.id)
    on_its_way = await until_share(booked, PayoutStatus.PROCESSING, again.id)
    assert on_its_way.failure_reason is None
    await bank.wait(2 * DAY_SECONDS)
    await notify_payout(bank, again.id)
    assert await handle.result() is PayoutPhase.ARRIVED
    assert (await share(booked)).status is PayoutStatus.PAID
    assert await balances(saga, instructor_id) == {}
    assert sorted(await mails(saga)) == [(NotificationKind.PAYOUT_FAILED, 1), (NotificationKind.PAYOUT_PAID, 1)]


async def test_missed_failure_is_recorded_with_the_next_payout(
    saga: Saga,
) -> None:
    booked = await saga.completed()
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT)
    lost = await bank.payout()
    await notify_payout(bank, lost.id)
    await until_share(booked, PayoutStatus.PROCESSING, lost.id)
    await bank.return_payout(lost.id)
    await bank.set_bank_account("btok_us_verified")
    await bank.wait(3 * DAY_SECONDS)
    again, _ = await bank.payouts()
    assert await (await notify_payout(bank, again.id)).result() is PayoutPhase.ARRIVED
    row = await share(booked)
    assert (row.status, row.stripe_payout_id) == (PayoutStatus.PAID, again.id)
    # A late event of the first payout changes nothing.
    assert await (await notify_payout(bank, lost.id)).result() is PayoutPhase.FAILED
    row = await share(booked)
    assert (row.status, row.stripe_payout_id) == (PayoutStatus.PAID, again.id)
    assert await balances(saga, booked.order.terms.instructor_id) == {}
    assert sorted(await mails(saga)) == [(NotificationKind.PAYOUT_FAILED, 1), (NotificationKind.PAYOUT_PAID, 1)]


async def test_bank_can_return_a_paid_payout(saga: Saga) -> None:
    booked = await saga.completed()
    instructor_id, bank = booked.order.terms.instructor_id, bank_of(booked)
    await bank.wait(UNTIL_SENT + 2 * DAY_SECONDS)
    payout = await bank.payout()
    assert await (await notify_payout(bank, payout.id)).result() is PayoutPhase.ARRIVED
    await bank.return_payout(payout.id, "no_account")
    assert await (await notify_payout(bank, payout.id)).result() is PayoutPhase.FAILED
    row = await share(booked)
    assert (row.status, row.failure_reason, row.paid_at) == (PayoutStatus.FAILED, "no_account", None)
    assert (await balances(saga, instructor_id))[Account.CONNECTED_BALANCE] == await bank.balance() == 8_000


async def test_refund_after_the_payout_leaves_a_negative_balance(saga: Saga) -> None:
    booked = await saga.completed()
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT + 2 * DAY_SECONDS)
    payout = await bank.payout()
    assert await (await notify_payout(bank, payout.id)).result() is PayoutPhase.ARRIVED
    await refund_in_dashboard(saga, booked, 5_000, usual_flags(saga))
    if saga.plan is PaymentPlan.CHARGE_THEN_TRANSFER:
        group = str(booked.order.terms.booking_id)
        [transfer] = (await saga.stripe.v1.transfers.list_async({"transfer_group": group})).data
        await saga.stripe.v1.transfers.reversals.create_async(transfer.id, {"amount": 4_000})
    assert await bank.balance() == -4_000
    await bank.wait(3 * DAY_SECONDS)
    # A negative balance makes no payout.
    assert await bank.payout() == payout


class ShortPayouts(StripePayouts):
    """Lines are missing until `is_complete`."""

    is_complete = False

    async def look_up_payout(self, order: PayoutOrder) -> PayoutState:
        state = await super().look_up_payout(order)
        return state if self.is_complete else state.model_copy(update={"adds_up": False})


async def test_payout_whose_lines_do_not_add_up_is_not_recorded_until_they_do(saga: Saga) -> None:
    booked = await saga.completed()
    instructor_id, bank = booked.order.terms.instructor_id, bank_of(booked)
    await bank.wait(UNTIL_SENT)
    payout = await bank.payout()
    gateway = ShortPayouts(saga.stripe)
    payouts = PayoutActivities(saga.engine, gateway)
    client = saga.env.client
    async with (
        Worker(client, task_queue="short", workflows=[PayoutWorkflow], activities=[payouts.record_payout]),
        Worker(client, task_queue=stripe_task_queue("short"), activities=[payouts.look_up_payout]),
    ):
        handle = await notify_payout(bank, payout.id, "short")
        await until_attention(saga, handle, needed=True)
        assert (await share(booked)).stripe_payout_id is None
        assert (await balances(saga, instructor_id))[Account.CONNECTED_BALANCE] == 8_000
        gateway.is_complete = True
        await notify_payout(bank, payout.id, "short")
        await until_share(booked, PayoutStatus.PROCESSING, payout.id)
        await until_attention(saga, handle, needed=False)
        assert await balances(saga, instructor_id) == {}
        await handle.terminate()


async def until_attention(saga: Saga, handle: Handle, *, needed: bool) -> None:
    for _ in range(60):
        if (await handle.describe()).typed_search_attributes.get(NEEDS_ATTENTION) is needed:
            return
        await saga.env.sleep(1)
    raise AssertionError(f"NeedsAttention never became {needed}")


async def test_payout_is_recorded_once_when_responses_are_lost(saga: Saga) -> None:
    booked = await saga.completed()
    instructor_id, bank = booked.order.terms.instructor_id, bank_of(booked)
    await bank.wait(UNTIL_SENT + 2 * DAY_SECONDS)
    payout = await bank.payout()
    saga.faults.fail("after", "look_up_payout", Unknown("the response was lost"))
    saga.faults.fail("after", "record_payout", Unknown("the response was lost"))
    assert await (await notify_payout(bank, payout.id)).result() is PayoutPhase.ARRIVED
    assert saga.faults.all_taken
    assert await balances(saga, instructor_id) == {}
    assert await mails(saga) == [(NotificationKind.PAYOUT_PAID, 1)]


async def test_manual_payout_changes_only_the_balances_of_its_instructor(saga: Saga) -> None:
    booked = await saga.completed()
    instructor_id, bank = booked.order.terms.instructor_id, bank_of(booked)
    await saga.stripe.v1.accounts.update_async(
        bank.account_id, {"settings": {"payouts": {"schedule": {"interval": "manual"}}}}
    )
    await bank.wait(UNTIL_SENT)
    by_hand = await saga.stripe.v1.payouts.create_async(
        {"amount": 3_000, "currency": "usd"}, {"stripe_account": bank.account_id}
    )
    await saga.stripe.v1.payouts.cancel_async(by_hand.id, options={"stripe_account": bank.account_id})
    assert await (await notify_payout(bank, by_hand.id)).result() is PayoutPhase.CANCELED
    assert (await balances(saga, instructor_id))[Account.CONNECTED_BALANCE] == await bank.balance() == 8_000
    assert (await share(booked)).stripe_payout_id is None


async def account_is_replaced(booked: Booked, keeps: str) -> None:
    """The instructor has no account by now, and the booking was made with `keeps`."""
    terms = booked.order.terms
    async with AsyncSession(booked.saga.engine) as session, session.begin():
        (await session.get_one(Instructor, terms.instructor_id)).stripe_account_id = None
        (await session.get_one(BookingRequest, terms.booking_id)).stripe_account_id = keeps


async def test_payout_of_an_unknown_account_is_ignored(saga: Saga) -> None:
    booked = await saga.completed()
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT)
    payout = await bank.payout()
    await account_is_replaced(booked, keeps="acct_of_another_booking")
    assert await (await notify_payout(bank, payout.id)).result() is None


async def test_payout_of_a_replaced_account_is_recorded(saga: Saga) -> None:
    booked = await saga.completed()
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT)
    payout = await bank.payout()
    await account_is_replaced(booked, keeps=bank.account_id)
    await notify_payout(bank, payout.id)
    await until_share(booked, PayoutStatus.PROCESSING, payout.id)


async def test_payout_in_transit_of_a_closed_account_does_not_stay_under_way(saga: Saga) -> None:
    booked = await saga.completed()
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT)
    payout = await bank.payout()
    handle = await notify_payout(bank, payout.id)
    await until_share(booked, PayoutStatus.PROCESSING, payout.id)
    await saga.stripe.v1.accounts.delete_async(bank.account_id)
    before = await balances(saga, booked.order.terms.instructor_id)
    assert await handle.result() is None
    row = await share(booked)
    assert (row.status, row.failure_reason) == (PayoutStatus.FAILED, "account_gone")
    # Stripe has sent it.
    assert await balances(saga, booked.order.terms.instructor_id) == before == {}
    assert await mails(saga) == []
