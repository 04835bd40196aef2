"""An event of any type that is taken may be lost on its way: the next reconciliation brings what it would have."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from uuid import UUID

import pytest
import stripe
from temporalio.client import Client

from models.domain.ids import (
    dispute_workflow_id,
    external_refund_id,
    onboarding_workflow_id,
    payout_workflow_id,
    refund_workflow_id,
    workflow_id,
)
from models.domain.stripe_events import CONNECT_EVENTS, PLATFORM_EVENTS
from sandbox.browser.checkout_page import GOOD_CARD, pay
from tests.api.live.journey import order
from tests.api.live.reconciliation.books import DAY_SECONDS, Books
from tests.api.live.reconciliation.steps import booked, held, settled, shown
from tests.api.world import JSON

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]

DECLINED_CARD, REFUNDS_WAIT = "4000000000000002", "4000000000007726"


@dataclass(frozen=True)
class Story:
    """What happened at Stripe: which workflow is to hear of it, and what must become true by that alone."""

    workflow_id: str
    is_healed: Callable[[], Awaitable[bool]]
    drifts: list[str] = field(default_factory=list)
    """What no event can put right."""

    async def until_healed(self) -> None:
        for _ in range(400):
            if await self.is_healed():
                return
            await asyncio.sleep(0.05)
        raise AssertionError("it never came")


Play = Callable[[Books], Awaitable[Story]]


async def _shown(books: Books, booking_id: str) -> JSON | None:
    answer = await shown(books, booking_id)
    seen: JSON | None = answer.json() if answer.status_code == 200 else None
    return seen


def _booking(books: Books, booking_id: str, is_so: Callable[[JSON | None], bool]) -> Story:
    async def is_healed() -> bool:
        return is_so(await _shown(books, booking_id))

    return Story(workflow_id(UUID(booking_id)), is_healed)


async def paid(books: Books) -> Story:
    created = await booked(books)
    assert await pay(created["checkout_url"], GOOD_CARD)
    return _booking(books, created["id"], lambda shown: shown is not None and shown["payment"] is not None)


async def declined(books: Books) -> Story:
    created = await booked(books)
    await pay(created["checkout_url"], DECLINED_CARD)
    # The grace after a declined card is the workflow's own; that it looked is what its history says.
    return _booking(books, created["id"], lambda shown: shown is not None)


async def let_go_by_hand(books: Books) -> Story:
    booking_id = await held(books)
    await books.stripe.v1.payment_intents.cancel_async((await books.intent(booking_id)).id)
    story = _booking(books, booking_id, lambda shown: shown is not None and shown["needs_attention"])
    # It waits for an operator, and until then the books hold what Stripe no longer does.
    return replace(story, drifts=["card_holds"])


async def page_expired(books: Books) -> Story:
    created = await booked(books)
    [session] = (await books.stripe.v1.checkout.sessions.list_async({"limit": 1})).data
    await books.stripe.v1.checkout.sessions.expire_async(session.id)
    return _booking(books, created["id"], lambda shown: shown is None)


async def dispute_won(books: Books) -> Story:
    booking_id = await settled(books)
    await books.deliver()
    charge = (await books.intent(booking_id)).latest_charge
    opened = await books.order("/disputes", {"charge": charge})
    await books.stripe.v1.disputes.update_async(opened["id"], {"evidence": {"uncategorized_text": "a lesson"}})
    winning = {"evidence": {"uncategorized_text": "winning_evidence"}, "submit": True}
    await books.stripe.v1.disputes.update_async(opened["id"], winning)  # type: ignore[arg-type]

    async def is_healed() -> bool:
        answer = await books.client.get("/v1/operator/disputes", headers=books.world.operator.headers)
        return [(each["id"], each["status"]) for each in answer.json()["data"]] == [(opened["id"], "WON")]

    return Story(dispute_workflow_id(opened["id"]), is_healed)


async def _refund_ordered(books: Books) -> tuple[str, str]:
    """Half of a charge whose refunds wait: the booking, and Stripe's id of the refund."""
    booking_id = await settled(books, REFUNDS_WAIT)
    half = {"amount_minor": 5_000, "reason": "The lesson was cut short."}
    answer = await order(books.client, books.world.operator, booking_id, "refund", half)
    assert answer.status_code in (200, 202), answer.text
    await books.deliver()
    [refund] = (await books.stripe.v1.refunds.list_async({"limit": 10})).data
    return booking_id, refund.id


async def _refund(books: Books, act: str, status: str) -> Story:
    booking_id, stripe_refund_id = await _refund_ordered(books)
    await books.order(f"/refunds/{stripe_refund_id}/{act}", {})
    refund = await books.stripe.v1.refunds.retrieve_async(stripe_refund_id)
    assert refund.metadata

    async def is_healed() -> bool:
        seen = await _shown(books, booking_id)
        return bool(seen and [each["status"] for each in seen["refunds"]] == [status])

    return Story(refund_workflow_id(UUID(refund.metadata["refund_id"])), is_healed)


async def refund_arrived(books: Books) -> Story:
    return await _refund(books, "succeed", "SUCCEEDED")


async def refund_sent_back(books: Books) -> Story:
    return await _refund(books, "fail", "FAILED")


async def refunded_in_the_dashboard(books: Books) -> Story:
    booking_id = await settled(books)
    await books.deliver()
    intent = await books.intent(booking_id)
    refund = await books.stripe.v1.refunds.create_async({"payment_intent": intent.id, "amount": 1_000})

    async def is_healed() -> bool:
        seen = await _shown(books, booking_id)
        return bool(seen and [each["stripe_refund_id"] for each in seen["refunds"]] == [refund.id])

    return Story(refund_workflow_id(external_refund_id(refund.id)), is_healed)


async def account_stopped(books: Books) -> Story:
    await _request_transfers(books, False)
    return _account(books, can_be_paid=False)


async def account_back(books: Books) -> Story:
    await _request_transfers(books, False)
    await books.deliver()
    await _account(books, can_be_paid=False).until_healed()
    await _request_transfers(books, True)
    return _account(books, can_be_paid=True)


async def _request_transfers(books: Books, requested: bool) -> None:
    await books.stripe.v1.accounts.update_async(
        books.account_id, {"capabilities": {"transfers": {"requested": requested}}}
    )


def _account(books: Books, can_be_paid: bool) -> Story:
    async def is_healed() -> bool:
        me = await books.client.get("/v1/instructors/me", headers=books.world.instructor.headers)
        return me.json()["payments"]["can_be_paid"] is can_be_paid

    return Story(onboarding_workflow_id(books.world.instructor.id), is_healed)


def _payout(books: Books, booking_id: str, payout_id: str, status: str) -> Story:
    async def is_healed() -> bool:
        seen = await _shown(books, booking_id)
        return bool(seen and seen["payout"]["status"] == status and seen["payout"]["stripe_payout_id"] == payout_id)

    return Story(payout_workflow_id(payout_id), is_healed)


async def _sent(books: Books) -> tuple[str, str]:
    """A booking whose share is on its way."""
    booking_id = await settled(books)
    await books.wait(3 * DAY_SECONDS)
    [payout] = (await books.stripe.v1.payouts.list_async({}, {"stripe_account": books.account_id})).data
    return booking_id, payout.id


async def payout_made(books: Books) -> Story:
    return _payout(books, *await _sent(books), "PROCESSING")


async def payout_renamed(books: Books) -> Story:
    booking_id, payout_id = await _sent(books)
    await books.stripe.v1.payouts.update_async(
        payout_id, {"metadata": {"a": "b"}}, {"stripe_account": books.account_id}
    )
    return _payout(books, booking_id, payout_id, "PROCESSING")


async def payout_arrived(books: Books) -> Story:
    sent = await _sent(books)
    await books.wait(2 * DAY_SECONDS)
    return _payout(books, *sent, "PAID")


async def payout_failed(books: Books) -> Story:
    booking_id, payout_id = await _sent(books)
    await books.order(f"/payouts/{payout_id}/fail", {"failure_code": "account_closed"})
    return _payout(books, booking_id, payout_id, "FAILED")


async def payout_called_off(books: Books) -> Story:
    own: stripe.RequestOptions = {"stripe_account": books.account_id}
    booking_id = await settled(books)
    manual = {"settings": {"payouts": {"schedule": {"interval": "manual"}}}}
    await books.stripe.v1.accounts.update_async(books.account_id, manual)  # type: ignore[arg-type]
    await books.wait(3 * DAY_SECONDS)
    payout = await books.stripe.v1.payouts.create_async({"amount": 3_000, "currency": "usd"}, own)
    await books.stripe.v1.payouts.cancel_async(payout.id, options=own)

    async def is_healed() -> bool:
        answer = await books.client.get("/v1/instructors/me/payouts", headers=books.world.instructor.headers)
        return bool(answer.json()["balances"] == [{"amount_minor": 8_000, "currency": "usd"}])

    assert booking_id
    return Story(payout_workflow_id(payout.id), is_healed)


STORIES: dict[str, Play] = {
    "payment_intent.amount_capturable_updated": paid,
    "payment_intent.payment_failed": declined,
    "payment_intent.canceled": let_go_by_hand,
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
    "account.updated": account_stopped,
    "capability.updated": account_back,
    "payout.created": payout_made,
    "payout.updated": payout_renamed,
    "payout.paid": payout_arrived,
    "payout.failed": payout_failed,
    "payout.canceled": payout_called_off,
    "payout.reconciliation_completed": payout_made,
}


def test_every_type_that_is_taken_has_its_story() -> None:
    assert set(STORIES) == PLATFORM_EVENTS | CONNECT_EVENTS


@pytest.mark.parametrize("type_", sorted(STORIES))
async def test_a_lost_event_is_brought_by_the_reconciliation(type_: str, books: Books, temporal: Client) -> None:
    """Not only of its type: of everything about the story, so that no other event can have brought it."""
    story = await STORIES[type_](books)
    await books.deliver(but_for=_about_the_same(type_))
    account = books.account_id if type_ in CONNECT_EVENTS else None
    before = await _heard(temporal, story.workflow_id)
    lost = [event["id"] for event in await books.events(account) if event["type"] == type_ and not before[event["id"]]]
    assert lost
    run = await books.reconcile()
    assert run["events_redelivered"] >= 1
    await story.until_healed()
    assert [drift["book"] for drift in await books.drifts(open="true")] == story.drifts
    assert run["drifts"] == len(story.drifts)
    # What came once does not come again.
    await books.reconcile()
    retrieve_start_error = await _heard(temporal, story.workflow_id)
    assert {retrieve_start_error[id] for id in lost} == {1}


def _about_the_same(type_: str) -> frozenset[str]:
    kind = type_.split(".")[0]
    kinds = {"account", "capability"} if kind in ("account", "capability") else {kind}
    if kind == "checkout":
        kinds.add("payment_intent")
    return frozenset(each for each in PLATFORM_EVENTS | CONNECT_EVENTS if each.split(".")[0] in kinds)


async def _heard(temporal: Client, id: str) -> Counter[str]:
    """How often any run of the workflow was told of an event."""
    retrieve_start_error: Counter[str] = Counter()
    async for execution in temporal.list_workflows(f"WorkflowId = '{id}'"):
        handle = temporal.get_workflow_handle(id, run_id=execution.run_id)
        async for event in handle.fetch_history_events():
            if event.HasField("workflow_execution_signaled_event_attributes"):
                for payload in event.workflow_execution_signaled_event_attributes.input.payloads:
                    retrieve_start_error[
                        temporal.data_converter.payload_converter.from_payload(payload)["event_id"]
                    ] += 1
    return retrieve_start_error
