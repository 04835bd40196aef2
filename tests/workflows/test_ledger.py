"""After any sequence of payments, refunds, disputes, payouts and faults, the ledger balances and matches Stripe.

The sandbox is the test's own, so that everything on the platform's account is from this test.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx
import pytest
import stripe
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import AbsentParty
from models.domain.ledger import Account, PostingKind
from models.domain.messages import Approve, Cancel, Complete, ReportNoShow
from models.domain.policy import LossBearer, PaymentPlan
from models.tables.ledger import LedgerEntry, LedgerTransaction
from sandbox.demo import books
from sandbox.stack.ports import NO_TLS
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.bank import Bank, bank_of
from tests.workflows.dispute_steps import decide_at_the_bank, notify_dispute, open_dispute
from tests.workflows.payout_steps import notify_payout
from tests.workflows.refund_steps import refund_booking
from tests.workflows.saga import Booked, Saga
from workflows.booking.workflow import BookingWorkflow

WHICH = st.integers(0, 20)
FAULTS = st.sampled_from([None, None, "rate_limit", "error_before", "error_after", "drop_after"])
_LOOKS = 60


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


class Marketplace(RuleBasedStateMachine):
    """Students, instructors, operators and banks, who act in any order."""

    saga: ClassVar[Saga]
    loop: ClassVar[asyncio.AbstractEventLoop]
    start: ClassVar[datetime]
    # State is kept from one example to the next.
    captured: ClassVar[list[Booked]]
    disputes: ClassVar[list[str]]
    heard: ClassVar[dict[str, str]]
    """The status of each payout in its latest event."""

    def do(self, step: Coroutine[Any, Any, None]) -> None:
        """Run a step on the event loop of the worker and the database. The state machine runs in a thread."""
        asyncio.run_coroutine_threadsafe(step, self.loop).result()

    @initialize()
    def book_refund_wait_and_dispute(self) -> None:
        """Every example has at least these steps."""
        for plan in PaymentPlan:
            self.do(self._book(plan, "completed", None))
            self.do(self._refund(self.captured[-1], 25, LossBearer.BOTH, None))
        self.do(self._wait(4))
        self.do(self._dispute(self.captured[-1], None))

    @rule(
        plan=st.sampled_from(PaymentPlan),
        ending=st.sampled_from(["completed", "cancelled_late", "student_absent"]),
        fault=FAULTS,
    )
    def session_ends(self, plan: PaymentPlan, ending: str, fault: str | None) -> None:
        self.do(self._book(plan, ending, fault))

    @rule(which=WHICH, fault=FAULTS)
    def student_disputes(self, which: int, fault: str | None) -> None:
        self.do(self._dispute(self.captured[which % len(self.captured)], fault))

    @rule(which=WHICH, evidence=st.sampled_from(["winning_evidence", "losing_evidence"]), fault=FAULTS)
    def bank_decides(self, which: int, evidence: str, fault: str | None) -> None:
        if self.disputes:
            self.do(self._decide(self.disputes[which % len(self.disputes)], evidence, fault))

    @rule(which=WHICH, percent=st.integers(1, 101), borne_by=st.sampled_from(LossBearer), fault=FAULTS)
    def operator_refunds(self, which: int, percent: int, borne_by: LossBearer, fault: str | None) -> None:
        self.do(self._refund(self.captured[which % len(self.captured)], percent, borne_by, fault))

    @rule(days=st.integers(1, 4))
    def days_pass(self, days: int) -> None:
        self.do(self._wait(days))

    @rule(which=WHICH)
    def payout_is_returned(self, which: int) -> None:
        self.do(self._return_payout(bank_of(self.captured[which % len(self.captured)])))

    @rule()
    def events_are_repeated(self) -> None:
        self.do(self._repeat_all_events())

    @invariant()
    def ledger_matches_stripe(self) -> None:
        self.do(self._compare())

    async def _book(self, plan: PaymentPlan, ending: str, fault: str | None) -> None:
        await self._advance_stripes_clock()
        booked = await replace(self.saga, plan=plan).paid(starts_in=timedelta(hours=5))
        await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
        settling = "/v1/payment_intents/*/capture" if plan is PaymentPlan.HOLD else "/v1/transfers"
        await self._fail(fault, settling)
        if ending == "cancelled_late":
            await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
        else:
            await booked.until_ended()
            if ending == "completed":
                await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
            else:
                absent = ReportNoShow(actor=booked.instructor, absent=AbsentParty.STUDENT)
                await booked.handle.execute_update(BookingWorkflow.report_no_show, absent)
        await booked.result()
        self.captured.append(booked)

    async def _dispute(self, booked: Booked, fault: str | None) -> None:
        try:
            dispute = await open_dispute(self.saga, booked)
        except httpx.HTTPStatusError:
            return  # there is one already, or nothing is left to dispute
        self.disputes.append(dispute.id)
        await self._fail(fault, f"/v1/disputes/{dispute.id}")
        await notify_dispute(self.saga, dispute.id)

    async def _decide(self, dispute_id: str, evidence: str, fault: str | None) -> None:
        try:
            await decide_at_the_bank(self.saga, dispute_id, evidence)
        except stripe.InvalidRequestError:
            return  # it is over
        await self._fail(fault, "/v1/transfers/*")
        await notify_dispute(self.saga, dispute_id)

    async def _refund(self, booked: Booked, percent: int, borne_by: LossBearer, fault: str | None) -> None:
        """Refund a part of what is still captured. 101 percent is refused."""
        payment = await booked.payment()
        assert payment is not None
        await self._fail(fault, "/v1/refunds")
        amount_minor = max(payment.captured_minor * percent // 100, 1)
        await refund_booking(self.saga, booked, amount_minor, borne_by)

    async def _wait(self, days: int) -> None:
        await self.saga.env.sleep(timedelta(days=days))
        await self._advance_stripes_clock()

    async def _return_payout(self, bank: Bank) -> None:
        for payout in await bank.payouts():
            if payout.status == "paid":
                await bank.return_payout(payout.id)
                await bank.set_bank_account("btok_us_verified")
                return

    async def _notify_payouts(self) -> None:
        for booked in self.captured:
            bank = bank_of(booked)
            for payout in await bank.payouts():
                if self.heard.get(payout.id) != payout.status:
                    self.heard[payout.id] = payout.status
                    await notify_payout(bank, payout.id)

    async def _repeat_all_events(self) -> None:
        self.heard.clear()
        for dispute_id in self.disputes:
            await notify_dispute(self.saga, dispute_id)

    async def _advance_stripes_clock(self) -> None:
        """Advance Stripe's clock to the workflows' clock."""
        now = await self.saga.env.get_current_time()
        async with httpx.AsyncClient(base_url=self.saga.stripe_url, trust_env=False, verify=NO_TLS) as control:
            behind = int(now.timestamp()) - (await control.get("/_sandbox/clock")).json()["now"]
            (await control.post("/_sandbox/clock", json={"advance_seconds": max(behind, 0)})).raise_for_status()

    async def _fail(self, kind: str | None, path: str) -> None:
        """Plan a fault for the next call to `path`."""
        if kind:
            async with httpx.AsyncClient(base_url=self.saga.stripe_url, trust_env=False, verify=NO_TLS) as control:
                (await control.post("/_sandbox/faults", json={"kind": kind, "path": path})).raise_for_status()

    async def _compare(self) -> None:
        """Compare the ledger with Stripe, once the workflows have caught up."""
        for look in range(_LOOKS):
            await self._notify_payouts()
            ours = await books.ledger_balances(self.saga.engine)
            theirs = await books.stripe_balances(self.saga.engine, self.saga.stripe, self.start)
            if +ours == +theirs and -ours == -theirs:
                break
            await (asyncio.sleep(0.1) if look < _LOOKS // 2 else self.saga.env.sleep(30))
        assert {account: amount for account, amount in ours.items() if amount} == {
            account: amount for account, amount in theirs.items() if amount
        }
        assert await books.unbalanced_transactions(self.saga.engine) == (0, len(await self._transactions()))
        paid_and_kept = await self._paid_by_students()
        assert paid_and_kept == await self._all_shares()

    async def _transactions(self) -> list[object]:
        async with AsyncSession(self.saga.engine) as session:
            return list((await session.exec(select(LedgerTransaction.id))).all())

    async def _paid_by_students(self) -> int:
        """What cards were charged, less refunds and disputes, by Stripe's objects."""
        paid = 0
        charges = await self.saga.stripe.v1.charges.list_async({"limit": 100})
        async for charge in charges.auto_paging_iter():
            paid += charge.amount_captured if charge.captured else 0
        refunds = await self.saga.stripe.v1.refunds.list_async({"limit": 100})
        async for refund in refunds.auto_paging_iter():
            paid -= refund.amount if refund.balance_transaction else 0
        disputes = await self.saga.stripe.v1.disputes.list_async({"limit": 100})
        async for dispute in disputes.auto_paging_iter():
            paid += sum(moved.amount for moved in dispute.balance_transactions)
        return paid

    async def _all_shares(self) -> int:
        """The shares of instructors and platform, with Stripe's fees, by the ledger."""
        query = select(col(LedgerEntry.account), func.sum(col(LedgerEntry.amount_minor))).group_by(
            col(LedgerEntry.account)
        )
        async with AsyncSession(self.saga.engine) as session:
            balances = {account: int(amount) for account, amount in (await session.exec(query)).all()}
            query_paid_out = (
                select(func.coalesce(func.sum(col(LedgerEntry.amount_minor)), 0))
                .join(LedgerTransaction, col(LedgerTransaction.id) == col(LedgerEntry.transaction_id))
                .where(
                    col(LedgerEntry.account) == Account.INSTRUCTOR_PAYABLE,
                    col(LedgerTransaction.kind).in_([PostingKind.PAID_OUT, PostingKind.PAYOUT_FAILED]),
                )
            )
            paid_out = int((await session.exec(query_paid_out)).one())
        instructors = paid_out - balances.get(Account.INSTRUCTOR_PAYABLE, 0)
        platform = -balances.get(Account.PLATFORM_REVENUE, 0) - balances.get(Account.PLATFORM_LOSSES, 0)
        open_disputes, owed = balances.get(Account.DISPUTES, 0), -balances.get(Account.REFUNDS, 0)
        return instructors + platform - open_disputes + owed


async def test_ledger_matches_stripe_after_any_sequence_of_events(saga: Saga) -> None:
    Marketplace.saga, Marketplace.loop = saga, asyncio.get_running_loop()
    Marketplace.captured, Marketplace.disputes, Marketplace.heard = [], [], {}
    Marketplace.start = datetime.now(UTC) - timedelta(seconds=1)
    await asyncio.to_thread(
        run_state_machine_as_test,
        Marketplace,
        settings=settings(
            max_examples=3,
            stateful_step_count=7,
            deadline=None,
            derandomize=True,
            # State is kept between runs, so a failing run cannot be replayed to shrink it.
            phases=[Phase.generate],
            report_multiple_bugs=False,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Marketplace.disputes
    assert Marketplace.heard
