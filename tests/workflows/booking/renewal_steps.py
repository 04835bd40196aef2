"""Steps of the tests in which a student pays again, or in which days pass at Stripe, too."""

from datetime import UTC, datetime, timedelta

import httpx
import stripe
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.notifications import NotificationKind, Recipient
from models.domain.stripe_events import BOOKING_METADATA
from models.tables.outbox import OutboxMessage
from models.tables.payments import PaymentRenewal
from sandbox.browser.checkout_page import GOOD_CARD, pay
from sandbox.demo import books
from sandbox.demo.figures import Figures, figures_at_stripe
from tests.workflows.saga import Booked, Saga

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_ATTEMPTS = 60


async def control(saga: Saga, path: str, **body: object) -> None:
    async with httpx.AsyncClient(base_url=saga.stripe_url, trust_env=False) as sandbox:
        (await sandbox.post(f"/_sandbox{path}", json=body)).raise_for_status()


async def pass_time(saga: Saga, time: timedelta, step: timedelta = 12 * HOUR) -> None:
    """At Stripe first, as it closes pages and ends holds by itself. In steps shorter than a page is open."""
    while time > timedelta(0):
        step = min(time, step)
        await control(saga, "/clock", advance_seconds=int(step.total_seconds()))
        await saga.env.sleep(step)
        time -= step


async def with_short_hold(saga: Saga, lasts: timedelta = 2 * DAY, starts_in: timedelta = 3 * DAY) -> Booked:
    """An accepted booking whose hold ends before its session."""
    await control(saga, "/holds", card_seconds=int(lasts.total_seconds()))
    return await saga.accepted(starts_in=starts_in)


async def end_hold(booked: Booked) -> None:
    """As Stripe does at its end. No event arrives."""
    intent = await booked.payment_intent()
    assert intent is not None
    await control(booked.saga, f"/payment_intents/{intent.id}/cancel", cancellation_reason="automatic")


async def renewal_of(booked: Booked) -> PaymentRenewal | None:
    async with AsyncSession(booked.saga.engine) as session:
        return await session.get(PaymentRenewal, booked.order.terms.booking_id)


async def until_asked(booked: Booked, page: int = 1) -> PaymentRenewal:
    """Until the student can pay again on this page."""
    for _ in range(_ATTEMPTS):
        row = await renewal_of(booked)
        if row is not None and row.page == page and row.checkout_url:
            return row
        await booked.saga.env.sleep(1)
    raise AssertionError(f"page {page} was never opened, only {row}")


async def pay_again(booked: Booked, card: str = GOOD_CARD, page: int = 1) -> bool:
    """Pay on the page. Stripe's event follows."""
    asked = await until_asked(booked, page)
    is_paid = await pay(asked.checkout_url or "", card)
    await booked.notify()
    return is_paid


async def mailed(booked: Booked, kind: NotificationKind) -> list[Recipient]:
    of_booking = col(OutboxMessage.booking_id) == booked.order.terms.booking_id
    query = select(OutboxMessage.recipient_role).where(of_booking, col(OutboxMessage.kind) == kind)
    async with AsyncSession(booked.saga.engine) as session:
        return sorted(Recipient(role) for role in await session.exec(query) if role is not None)


async def intents_of(booked: Booked) -> list[stripe.PaymentIntent]:
    """The booking's payments at Stripe, the first one first."""
    charge = "data.latest_charge"
    found = await booked.saga.stripe.v1.payment_intents.list_async(
        {"limit": 100, "expand": [f"{charge}.balance_transaction", f"{charge}.transfer", f"{charge}.application_fee"]}
    )
    id = str(booked.order.terms.booking_id)
    return [
        each for each in reversed(found.data) if each.metadata and each.metadata.to_dict().get(BOOKING_METADATA) == id
    ]


async def total(booked: Booked) -> Figures:
    """Who paid and received what, of all of the booking's payments."""
    parts = [await figures_at_stripe(booked.saga.stripe, intent) for intent in await intents_of(booked)]
    return Figures(
        student_paid_minor=sum(each.student_paid_minor for each in parts),
        instructor_received_minor=sum(each.instructor_received_minor for each in parts),
        platform_kept_minor=sum(each.platform_kept_minor for each in parts),
        stripe_fee_minor=sum(each.stripe_fee_minor for each in parts),
    )


async def assert_ledger_is_stripes(saga: Saga) -> None:
    """Needs a sandbox of the test's own."""
    ours = await books.ledger_balances(saga.engine)
    theirs = await books.stripe_balances(saga.engine, saga.stripe, datetime.now(UTC) - timedelta(minutes=10))
    assert {key: amount for key, amount in ours.items() if amount} == {
        key: amount for key, amount in theirs.items() if amount
    }
    unbalanced, _ = await books.unbalanced_transactions(saga.engine)
    assert unbalanced == 0
