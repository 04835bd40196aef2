"""Invariants that must hold after all journeys, whether or not each went as expected."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import stripe
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.states import HOLDS_SLOT
from models.tables.bookings import BookingRequest
from sandbox.demo import books
from sandbox.demo.figures import Figures, RecordedPayment
from sandbox.demo.marketplace import Marketplace
from sandbox.stripe.log_check import problems_in

_OPEN_WORKFLOWS = "WorkflowType IN ('Booking', 'Dispute', 'Payout', 'Refund') AND ExecutionStatus = 'Running'"
_CLOSE_TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    detail: str


async def wait_for_open_workflows(marketplace: Marketplace) -> None:
    """Give workflows time to close. A check reports those that stay open."""
    for _ in range(_CLOSE_TIMEOUT_SECONDS * 4):
        if not (await marketplace.temporal.count_workflows(_OPEN_WORKFLOWS)).count:
            return
        await asyncio.sleep(0.25)


async def all_checks(
    marketplace: Marketplace,
    start: datetime,
    payments: Mapping[str, Sequence[stripe.PaymentIntent]],
    figures: Mapping[str, Figures],
    recorded: Mapping[str, RecordedPayment],
) -> list[Check]:
    return [
        _no_hold_is_left(payments),
        await _no_workflow_is_open(marketplace),
        await _no_slot_is_held(marketplace),
        _tables_agree_with_stripe(recorded, figures),
        await _ledger_sums_to_zero(marketplace),
        await _ledger_agrees_with_stripe(marketplace, start),
        await _reconciliation_finds_nothing(marketplace),
    ]


def _no_hold_is_left(payments: Mapping[str, Sequence[stripe.PaymentIntent]]) -> Check:
    made = [payment for of_booking in payments.values() for payment in of_booking]
    held = [payment.id for payment in made if payment.status == "requires_capture"]
    return Check("no PaymentIntent is left in requires_capture", not held, f"{len(held)} of {len(made)} held")


async def _no_workflow_is_open(marketplace: Marketplace) -> Check:
    count = (await marketplace.temporal.count_workflows(_OPEN_WORKFLOWS)).count
    return Check("no workflow is left open", count == 0, f"{count} open")


async def _no_slot_is_held(marketplace: Marketplace) -> Check:
    """By now every booking's workflow is closed, so no booking may still block its slot."""
    query = select(BookingRequest.id).where(col(BookingRequest.status).in_(HOLDS_SLOT))
    async with AsyncSession(marketplace.engine) as session:
        held = (await session.exec(query)).all()
    return Check("no slot is held by a closed booking", not held, f"{len(held)} held")


def _tables_agree_with_stripe(recorded: Mapping[str, RecordedPayment], figures: Mapping[str, Figures]) -> Check:
    """Compare payment by payment. One that only one side has is a difference, unless nothing was paid."""
    nothing = Figures()
    ours = {booking: payment.figures for booking, payment in recorded.items()}
    theirs = {booking: replace(figure, stripe_fee_minor=0) for booking, figure in figures.items()}
    bookings = ours.keys() | theirs.keys()
    different = [booking for booking in bookings if ours.get(booking, nothing) != theirs.get(booking, nothing)]
    detail = f"{len(bookings)} payments compared" + "".join(f"; {booking} differs" for booking in different)
    return Check("the tables agree with Stripe", not different, detail)


async def _ledger_sums_to_zero(marketplace: Marketplace) -> Check:
    uneven, total = await books.unbalanced_transactions(marketplace.engine)
    return Check("the ledger sums to zero", not uneven and total > 0, f"{total} transactions, {uneven} uneven")


async def _ledger_agrees_with_stripe(marketplace: Marketplace, start: datetime) -> Check:
    """Compare account by account. One that only one side has is a difference, unless its balance is zero."""
    ours, theirs = (
        await books.ledger_balances(marketplace.engine),
        await books.stripe_balances(marketplace.engine, marketplace.stripe, start),
    )
    accounts = ours.keys() | theirs.keys()
    different = [account for account in accounts if ours[account] != theirs[account]]
    detail = f"{len(accounts)} balances compared" + "".join(
        f"; {account[0]}: {ours[account]} in the ledger, {theirs[account]} at Stripe" for account in different
    )
    return Check("the ledger agrees with Stripe's balance transactions", not different, detail)


async def _reconciliation_finds_nothing(marketplace: Marketplace) -> Check:
    run = await marketplace.reconcile()
    compared = f"{run['bookings_compared']} bookings, {run['balances_compared']} balances, {run['events_read']} events"
    detail = f"{compared} compared; {run['drifts']} drifts, {run['events_redelivered']} events brought"
    return Check("reconciliation reports no drift", run["drifts"] == 0, detail)


def stripe_log_is_valid(log: Path) -> Check:
    """Check the request log against the shapes of Stripe's API, as derived from stripe-python."""
    problems = problems_in(log)
    detail = "; ".join(problems[:3]) if problems else f"{len(log.read_bytes().splitlines())} requests"
    return Check("every request to Stripe and every answer has Stripe's shape", not problems, detail)
