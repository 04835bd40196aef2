"""What must be true once every journey has been played, whichever way each went."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import stripe
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.states import HOLDS_SLOT
from models.tables.bookings import BookingRequest
from sandbox.demo import books
from sandbox.demo.figures import Figures, Recorded
from sandbox.demo.marketplace import Marketplace
from sandbox.stripe.log_check import problems_in

_OPEN = "WorkflowType IN ('Booking', 'Dispute', 'Payout', 'Refund') AND ExecutionStatus = 'Running'"
_PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    detail: str


async def nothing_is_going_on(marketplace: Marketplace) -> None:
    """Give workflows that are just closing the time to close; what stays open is for the check to say."""
    for _ in range(_PATIENCE_SECONDS * 4):
        if not (await marketplace.temporal.count_workflows(_OPEN)).count:
            return
        await asyncio.sleep(0.25)


async def all_checks(
    marketplace: Marketplace,
    start: datetime,
    payments: Mapping[str, stripe.PaymentIntent],
    figures: Mapping[str, Figures],
    recorded: Mapping[str, Recorded],
) -> list[Check]:
    return [
        _no_hold_is_left(payments),
        await _no_workflow_is_open(marketplace),
        await _no_slot_is_held(marketplace),
        _tables_agree_with_stripe(recorded, figures),
        await _ledger_sums_to_zero(marketplace),
        await _ledger_is_stripes(marketplace, start),
        await _reconciliation_finds_nothing(marketplace),
    ]


def _no_hold_is_left(payments: Mapping[str, stripe.PaymentIntent]) -> Check:
    held = [payment.id for payment in payments.values() if payment.status == "requires_capture"]
    return Check("no PaymentIntent is left in requires_capture", not held, f"{len(held)} of {len(payments)} held")


async def _no_workflow_is_open(marketplace: Marketplace) -> Check:
    count = (await marketplace.temporal.count_workflows(_OPEN)).count
    return Check("no workflow is left open", count == 0, f"{count} open")


async def _no_slot_is_held(marketplace: Marketplace) -> Check:
    """Every booking's workflow is closed by now, so no booking may keep its time from others."""
    query = select(BookingRequest.id).where(col(BookingRequest.status).in_(HOLDS_SLOT))
    async with AsyncSession(marketplace.engine) as session:
        holding = (await session.exec(query)).all()
    return Check("no slot is held by a closed booking", not holding, f"{len(holding)} held")


def _tables_agree_with_stripe(recorded: Mapping[str, Recorded], figures: Mapping[str, Figures]) -> Check:
    """Payment by payment, both ways: one that only one side knows is a difference, unless nothing was paid."""
    nothing = Figures()
    ours = {booking: payment.figures for booking, payment in recorded.items()}
    theirs = {booking: replace(figure, stripe_fee_minor=0) for booking, figure in figures.items()}
    bookings = ours.keys() | theirs.keys()
    different = [booking for booking in bookings if ours.get(booking, nothing) != theirs.get(booking, nothing)]
    detail = f"{len(bookings)} payments compared" + "".join(f"; {booking} differs" for booking in different)
    return Check("the tables agree with Stripe", not different, detail)


async def _ledger_sums_to_zero(marketplace: Marketplace) -> Check:
    uneven, of = await books.uneven_transactions(marketplace.engine)
    return Check("the ledger sums to zero", not uneven and of > 0, f"{of} transactions, {uneven} uneven")


async def _ledger_is_stripes(marketplace: Marketplace, start: datetime) -> Check:
    """Account by account; one that only one side knows is a difference, unless nothing is left on it."""
    ours, theirs = (
        await books.in_the_ledger(marketplace.engine),
        await books.at_stripe(marketplace.engine, marketplace.stripe, start),
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


def stripe_was_spoken_to_as_it_is(log: Path) -> Check:
    """By the shapes derived from stripe-python, which are Stripe's own."""
    problems = problems_in(log)
    detail = "; ".join(problems[:3]) if problems else f"{len(log.read_bytes().splitlines())} requests"
    return Check("every request to Stripe and every answer has Stripe's shape", not problems, detail)
