"""A handled event of any type may be lost: the next reconciliation redelivers it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import pytest
import stripe
from temporalio.client import Client

from models.domain.ids import (
    dispute_workflow_id,
    external_refund_id,
    fraud_refund_id,
    onboarding_workflow_id,
    payout_workflow_id,
    refund_workflow_id,
    workflow_id,
)
from models.domain.stripe_events import CONNECT_EVENTS, THIN_EVENTS
from sandbox.browser.checkout_page import GOOD_CARD, pay
from tests.api.live.journey import order
from tests.api.live.reconciliation.steps import booked, held, settled, shown
from tests.api.live.reconciliation.stripe_side import DAY_SECONDS, HANDLED, StripeSide
from tests.api.world import JSON

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]

DECLINED_CARD, REFUNDS_WAIT = "4000000000000002", "4000000000007726"


@dataclass(frozen=True)
class Story:
    """Something that happened at Stripe: the workflow that its event is for, and the result of that event alone."""

    workflow_id: str
    is_healed: Callable[[], Awaitable[bool]]
    drifts: list[str] = field(default_factory=list)
    """The drifts that no event resolves."""

    async def until_healed(self) -> None:
        for _ in range(400):
            if await self.is_healed():
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the event had no effect")


Play = Callable[[StripeSide], Awaitable[Story]]


async def _shown(stripe_side: StripeSide, booking_id: str) -> JSON | None:
    answer = await shown(stripe_side, booking_id)
    seen: JSON | None = answer.json() if answer.status_code == 200 else None
    return seen


def _booking(stripe_side: StripeSide, booking_id: str, is_so: Callable[[JSON | None], bool]) -> Story:
    async def is_healed() -> bool:
        return is_so(await _shown(stripe_side, booking_id))

    return Story(workflow_id(UUID(booking_id)), is_healed)


async def paid(stripe_side: StripeSide) -> Story:
    created = await booked(stripe_side)
    assert await pay(created["checkout_url"], GOOD_CARD)
    return _booking(stripe_side, created["id"], lambda shown: shown is not None and shown["payment"] is not None)


async def charged(stripe_side: StripeSide) -> Story:
    created = await booked(stripe_side, timedelta(days=30))
    assert await pay(created["checkout_url"], GOOD_CARD)
    return _booking(stripe_side, created["id"], lambda shown: shown is not None and shown["payment"] is not None)


async def debited(stripe_side: StripeSide) -> Story:
    created = await booked(stripe_side, timedelta(days=60))
    [session] = (await stripe_side.stripe.v1.checkout.sessions.list_async({"limit": 1})).data
    debit = {"method": "us_bank_account", "number": "000123456789"}
    await stripe_side.order(f"/checkout_sessions/{session.id}/pay", debit)
    return _booking(stripe_side, created["id"], lambda shown: shown is not None and shown["checkout_url"] is None)


async def declined(stripe_side: StripeSide) -> Story:
    created = await booked(stripe_side)
    await pay(created["checkout_url"], DECLINED_CARD)
    # The workflow waits for another card. That it looked the payment up is in its history.
    return _booking(stripe_side, created["id"], lambda shown: shown is not None)


async def hold_canceled(stripe_side: StripeSide) -> Story:
    booking_id = await held(stripe_side)
    await stripe_side.stripe.v1.payment_intents.cancel_async((await stripe_side.intent(booking_id)).id)
    return _booking(
        stripe_side, booking_id, lambda shown: shown is not None and shown["payment"]["hold_lapsed_at"] is not None
    )


async def page_expired(stripe_side: StripeSide) -> Story:
    created = await booked(stripe_side)
    [session] = (await stripe_side.stripe.v1.checkout.sessions.list_async({"limit": 1})).data
    await stripe_side.stripe.v1.checkout.sessions.expire_async(session.id)
    return _booking(stripe_side, created["id"], lambda shown: shown is None)


async def dispute_won(stripe_side: StripeSide) -> Story:
    booking_id = await settled(stripe_side)
    await stripe_side.deliver()
    charge = (await stripe_side.intent(booking_id)).latest_charge
    opened = await stripe_side.order("/disputes", {"charge": charge})
    await stripe_side.stripe.v1.disputes.update_async(opened["id"], {"evidence": {"uncategorized_text": "a lesson"}})
    winning = {"evidence": {"uncategorized_text": "winning_evidence"}, "submit": True}
    await stripe_side.stripe.v1.disputes.update_async(opened["id"], winning)  # type: ignore[arg-type]

    async def is_healed() -> bool:
        answer = await stripe_side.client.get("/v1/operator/disputes", headers=stripe_side.world.operator.headers)
        return [(each["id"], each["status"]) for each in answer.json()["data"]] == [(opened["id"], "WON")]

    return Story(dispute_workflow_id(opened["id"]), is_healed)


async def _refund_ordered(stripe_side: StripeSide) -> tuple[str, str]:
    """Half of a charge whose refunds wait: the booking, and Stripe's id of the refund."""
    booking_id = await settled(stripe_side, REFUNDS_WAIT)
    half = {"amount_minor": 5_000, "reason": "The lesson was cut short."}
    answer = await order(stripe_side.client, stripe_side.world.operator, booking_id, "refund", half)
    assert answer.status_code in (200, 202), answer.text
    await stripe_side.deliver()
    [refund] = (await stripe_side.stripe.v1.refunds.list_async({"limit": 10})).data
    return booking_id, refund.id


async def _refund(stripe_side: StripeSide, act: str, status: str) -> Story:
    booking_id, stripe_refund_id = await _refund_ordered(stripe_side)
    await stripe_side.order(f"/refunds/{stripe_refund_id}/{act}", {})
    refund = await stripe_side.stripe.v1.refunds.retrieve_async(stripe_refund_id)
    assert refund.metadata

    async def is_healed() -> bool:
        seen = await _shown(stripe_side, booking_id)
        return bool(seen and [each["status"] for each in seen["refunds"]] == [status])

    return Story(refund_workflow_id(UUID(refund.metadata["refund_id"])), is_healed)


async def refund_arrived(stripe_side: StripeSide) -> Story:
    return await _refund(stripe_side, "succeed", "SUCCEEDED")


async def refund_sent_back(stripe_side: StripeSide) -> Story:
    return await _refund(stripe_side, "fail", "FAILED")


async def refunded_in_the_dashboard(stripe_side: StripeSide) -> Story:
    booking_id = await settled(stripe_side)
    await stripe_side.deliver()
    intent = await stripe_side.intent(booking_id)
    refund = await stripe_side.stripe.v1.refunds.create_async({"payment_intent": intent.id, "amount": 1_000})

    async def is_healed() -> bool:
        seen = await _shown(stripe_side, booking_id)
        return bool(seen and [each["stripe_refund_id"] for each in seen["refunds"]] == [refund.id])

    return Story(refund_workflow_id(external_refund_id(refund.id)), is_healed)


async def fraud_warning(stripe_side: StripeSide) -> Story:
    booking_id = await settled(stripe_side)
    await stripe_side.deliver()
    charge = (await stripe_side.intent(booking_id)).latest_charge
    warning = await stripe_side.order("/early_fraud_warnings", {"charge": charge})

    async def is_healed() -> bool:
        seen = await _shown(stripe_side, booking_id)
        return bool(seen and seen["needs_attention"])

    return Story(refund_workflow_id(fraud_refund_id(warning["id"])), is_healed)


async def fraud_warning_settled(stripe_side: StripeSide) -> Story:
    story = await fraud_warning(stripe_side)
    await stripe_side.deliver()
    await story.until_healed()
    [warning] = (await stripe_side.stripe.v1.radar.early_fraud_warnings.list_async()).data
    await stripe_side.stripe.v1.refunds.create_async({"charge": str(warning.charge), "reverse_transfer": True})

    async def is_healed() -> bool:
        return not await story.is_healed()

    return replace(story, is_healed=is_healed)


async def account_stopped(stripe_side: StripeSide) -> Story:
    await _request_transfers(stripe_side, False)
    return _account(stripe_side, can_be_paid=False)


async def account_back(stripe_side: StripeSide) -> Story:
    await _request_transfers(stripe_side, False)
    await stripe_side.deliver()
    await _account(stripe_side, can_be_paid=False).until_healed()
    await _request_transfers(stripe_side, True)
    return _account(stripe_side, can_be_paid=True)


async def _request_transfers(stripe_side: StripeSide, requested: bool) -> None:
    await stripe_side.stripe.v1.accounts.update_async(
        stripe_side.account_id, {"capabilities": {"transfers": {"requested": requested}}}
    )


def _account(stripe_side: StripeSide, can_be_paid: bool) -> Story:
    async def is_healed() -> bool:
        me = await stripe_side.client.get("/v1/instructors/me", headers=stripe_side.world.instructor.headers)
        return me.json()["payments"]["can_be_paid"] is can_be_paid

    return Story(onboarding_workflow_id(stripe_side.world.instructor.id), is_healed)


async def bank_account_needed(stripe_side: StripeSide) -> Story:
    """A payout failed, so Stripe requires another bank account."""
    _, payout_id = await _sent(stripe_side)
    await stripe_side.order(f"/payouts/{payout_id}/fail", {"failure_code": "account_closed"})

    async def is_healed() -> bool:
        me = await stripe_side.client.get("/v1/instructors/me", headers=stripe_side.world.instructor.headers)
        return bool(me.json()["payments"]["requirements"] == ["external_account"])

    return Story(onboarding_workflow_id(stripe_side.world.instructor.id), is_healed)


def _payout(stripe_side: StripeSide, booking_id: str, payout_id: str, status: str) -> Story:
    async def is_healed() -> bool:
        seen = await _shown(stripe_side, booking_id)
        return bool(seen and seen["payout"]["status"] == status and seen["payout"]["stripe_payout_id"] == payout_id)

    return Story(payout_workflow_id(payout_id), is_healed)


async def _sent(stripe_side: StripeSide) -> tuple[str, str]:
    """A booking whose share is on its way."""
    booking_id = await settled(stripe_side)
    await stripe_side.wait(3 * DAY_SECONDS)
    [payout] = (await stripe_side.stripe.v1.payouts.list_async({}, {"stripe_account": stripe_side.account_id})).data
    return booking_id, payout.id


async def payout_made(stripe_side: StripeSide) -> Story:
    return _payout(stripe_side, *await _sent(stripe_side), "PROCESSING")


async def payout_renamed(stripe_side: StripeSide) -> Story:
    booking_id, payout_id = await _sent(stripe_side)
    await stripe_side.stripe.v1.payouts.update_async(
        payout_id, {"metadata": {"a": "b"}}, {"stripe_account": stripe_side.account_id}
    )
    return _payout(stripe_side, booking_id, payout_id, "PROCESSING")


async def payout_arrived(stripe_side: StripeSide) -> Story:
    sent = await _sent(stripe_side)
    await stripe_side.wait(2 * DAY_SECONDS)
    return _payout(stripe_side, *sent, "PAID")


async def payout_failed(stripe_side: StripeSide) -> Story:
    booking_id, payout_id = await _sent(stripe_side)
    await stripe_side.order(f"/payouts/{payout_id}/fail", {"failure_code": "account_closed"})
    return _payout(stripe_side, booking_id, payout_id, "FAILED")


async def payout_called_off(stripe_side: StripeSide) -> Story:
    own: stripe.RequestOptions = {"stripe_account": stripe_side.account_id}
    booking_id = await settled(stripe_side)
    manual = {"settings": {"payouts": {"schedule": {"interval": "manual"}}}}
    await stripe_side.stripe.v1.accounts.update_async(stripe_side.account_id, manual)  # type: ignore[arg-type]
    await stripe_side.wait(3 * DAY_SECONDS)
    payout = await stripe_side.stripe.v1.payouts.create_async({"amount": 3_000, "currency": "usd"}, own)
    await stripe_side.stripe.v1.payouts.cancel_async(payout.id, options=own)

    async def is_healed() -> bool:
        answer = await stripe_side.client.get(
            "/v1/instructors/me/payouts", headers=stripe_side.world.instructor.headers
        )
        return bool(answer.json()["balances"] == [{"amount_minor": 8_000, "currency": "usd"}])

    assert booking_id
    return Story(payout_workflow_id(payout.id), is_healed)


async def account_closed(stripe_side: StripeSide) -> Story:
    await stripe_side.stripe.v2.core.accounts.close_async(stripe_side.account_id)
    instructor = stripe_side.world.instructor

    async def is_healed() -> bool:
        answer = await stripe_side.client.get("/v1/instructors/me", headers=instructor.headers)
        return bool(answer.json()["payments"]["disabled_reason"] == "account_gone")

    return Story(onboarding_workflow_id(instructor.id), is_healed)


STORIES: dict[str, Play] = {
    "payment_intent.amount_capturable_updated": paid,
    "payment_intent.payment_failed": declined,
    "payment_intent.canceled": hold_canceled,
    "payment_intent.processing": debited,
    "payment_intent.succeeded": charged,
    "checkout.session.expired": page_expired,
    "charge.dispute.created": dispute_won,
    "charge.dispute.updated": dispute_won,
    "charge.dispute.closed": dispute_won,
    "charge.dispute.funds_withdrawn": dispute_won,
    "charge.dispute.funds_reinstated": dispute_won,
    "refund.created": refunded_in_the_dashboard,
    "refund.updated": refund_arrived,
    "refund.failed": refund_sent_back,
    "charge.refund.updated": refund_sent_back,
    "radar.early_fraud_warning.created": fraud_warning,
    "radar.early_fraud_warning.updated": fraud_warning_settled,
    "account.updated": account_stopped,
    "capability.updated": account_back,
    "v2.core.account[requirements].updated": bank_account_needed,
    "v2.core.account[configuration.recipient].capability_status_updated": account_stopped,
    "v2.core.account.closed": account_closed,
    "payout.created": payout_made,
    "payout.updated": payout_renamed,
    "payout.paid": payout_arrived,
    "payout.failed": payout_failed,
    "payout.canceled": payout_called_off,
    "payout.reconciliation_completed": payout_made,
}


def test_every_handled_type_has_a_story() -> None:
    assert set(STORIES) == HANDLED


# The reconciliation treats all types alike, so the suite takes every other one.
@pytest.mark.parametrize(
    "type_",
    [pytest.param(type_, marks=[pytest.mark.on_demand] * (index % 2)) for index, type_ in enumerate(sorted(STORIES))],
)
async def test_reconciliation_redelivers_a_lost_event(type_: str, stripe_side: StripeSide, temporal: Client) -> None:
    """Other events about the same object are lost too, so that none of them has the effect."""
    story = await STORIES[type_](stripe_side)
    await stripe_side.deliver(but_for=_about_the_same(type_))
    account = stripe_side.account_id if type_ in CONNECT_EVENTS | THIN_EVENTS else None
    before = await _received(temporal, story.workflow_id)
    lost = [
        event["id"] for event in await stripe_side.events(account) if event["type"] == type_ and not before[event["id"]]
    ]
    assert lost
    run = await stripe_side.reconcile()
    assert run["events_redelivered"] >= 1
    await story.until_healed()
    assert [drift["book"] for drift in await stripe_side.drifts(open="true")] == story.drifts
    assert run["drifts"] == len(story.drifts)
    # An event that was redelivered is not redelivered again.
    await stripe_side.reconcile()
    seen = await _received(temporal, story.workflow_id)
    assert {seen[id] for id in lost} == {1}


def _about_the_same(type_: str) -> frozenset[str]:
    kind = type_.split(".")[0]
    of_account = {"account", "capability", "v2"}
    kinds = of_account if kind in of_account else {kind}
    if kind == "checkout":
        kinds.add("payment_intent")
    return frozenset(each for each in HANDLED if each.split(".")[0] in kinds)


async def _received(temporal: Client, id: str) -> Counter[str]:
    """How often each event was sent to any run of the workflow, by event id."""
    seen: Counter[str] = Counter()
    async for execution in temporal.list_workflows(f"WorkflowId = '{id}'"):
        handle = temporal.get_workflow_handle(id, run_id=execution.run_id)
        async for event in handle.fetch_history_events():
            if event.HasField("workflow_execution_signaled_event_attributes"):
                for payload in event.workflow_execution_signaled_event_attributes.input.payloads:
                    seen[temporal.data_converter.payload_converter.from_payload(payload)["event_id"]] += 1
    return seen
