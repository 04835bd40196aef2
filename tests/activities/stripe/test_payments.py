"""The gateway and the hold plan against a Stripe that fails: how errors are sorted, and that effects happen once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import stripe

from activities.booking.payment_plans import HoldPlan
from activities.gateways import CheckoutRequest
from activities.stripe.client import stripe_client
from activities.stripe.payments import StripeGateway
from models.domain.errors import Declined, PaymentError, ReplayedFailure, Retryable, Unknown
from models.domain.messages import Checkout, HoldPhase, PaymentRef, PaymentState, SettlePayment
from models.domain.money import Money
from models.domain.policy import BookingPolicy, PaymentPlan, split
from models.domain.terms import BookingTerms
from sandbox.browser.checkout_page import pay
from sandbox.stack.connected_accounts import create_connected_account
from sandbox.stack.stripe_server import SANDBOX_KEY, StripeServer
from tests.conftest import StripeSandbox

HUNDRED = Money(amount_minor=10_000, currency="usd")
HALF = split(Money(amount_minor=5_000, currency="usd"), BookingPolicy())
# What Stripe does wrong, and how often it must, so that the SDK's own retries do not hide it. A server error is stored
# and replayed to each of them; after a dropped connection they find the stored answer.
FAILURES = [("rate_limit", 1), ("lock_timeout", 3), ("error_before", 1), ("error_after", 1), ("drop_after", 1)]


class Desk:
    """A gateway, its plan, and orders for what Stripe is to do wrong."""

    def __init__(self, client: stripe.StripeClient, control: httpx.AsyncClient) -> None:
        self.stripe = client
        self.gateway = StripeGateway(client, "http://127.0.0.1:1")
        self.plan = HoldPlan(self.gateway)
        self._control = control

    async def fail(self, kind: str, path: str, times: int) -> None:
        """`path` is a pattern as the sandbox's control takes it."""
        answer = await self._control.post("/_sandbox/faults", json={"kind": kind, "path": path, "times": times})
        answer.raise_for_status()

    async def has_failed(self) -> bool:
        """Whether all that was ordered has happened."""
        faults = (await self._control.get("/_sandbox/faults")).json()["faults"]
        return all(fault["hits"] for fault in faults)

    async def advance(self, time: timedelta) -> None:
        seconds = time.total_seconds()
        (await self._control.post("/_sandbox/clock", json={"advance_seconds": seconds})).raise_for_status()

    async def request(self) -> CheckoutRequest:
        student_id, instructor_id, booking_id = uuid4(), uuid4(), uuid4()
        account = await create_connected_account(self.stripe, instructor_id, "I", "T", f"{uuid4()}@example.com")
        customer = await self.gateway.create_customer(student_id, f"{student_id}@example.com", "S", key=str(uuid4()))
        now = datetime.now(UTC)
        terms = BookingTerms(
            booking_id=booking_id,
            student_id=student_id,
            instructor_id=instructor_id,
            offering_id=uuid4(),
            slot_id=uuid4(),
            starts_at=now + timedelta(days=1),
            ends_at=now + timedelta(days=1, hours=1),
            price=HUNDRED,
            policy=BookingPolicy(),
            plan=PaymentPlan.HOLD,
            stripe_account_id=account,
        )
        return CheckoutRequest(
            terms=terms,
            split=split(HUNDRED, terms.policy),
            customer_id=customer,
            expires_at=now + timedelta(hours=1),
        )

    async def held(self) -> tuple[PaymentRef, PaymentState]:
        """A hold of 100.00 USD."""
        request = await self.request()
        checkout = await self.plan.secure(request, retrying=False)
        assert await pay(checkout.url)
        ref = _ref(request, checkout)
        payment = await self.plan.look_up(ref, None)
        assert payment.phase is HoldPhase.HELD
        return ref.model_copy(update={"payment_intent_id": payment.payment_intent_id}), payment


def _ref(request: CheckoutRequest, checkout: Checkout | None = None) -> PaymentRef:
    return PaymentRef(
        booking_id=request.terms.booking_id,
        plan=PaymentPlan.HOLD,
        student_id=request.terms.student_id,
        checkout_session_id=checkout.checkout_session_id if checkout else None,
    )


@asynccontextmanager
async def _desk_at(url: str) -> AsyncIterator[Desk]:
    async with stripe_client(SANDBOX_KEY, url) as client, httpx.AsyncClient(base_url=url) as control:
        yield Desk(client, control)
        await control.delete("/_sandbox/faults")


@pytest.fixture
async def desk(stripe_sandbox: StripeSandbox) -> AsyncIterator[Desk]:
    async with _desk_at(stripe_sandbox.url) as desk:
        yield desk


@pytest.fixture
async def desk_of_its_own(tmp_path: Path) -> AsyncIterator[Desk]:
    """At a sandbox whose clock no other test minds."""
    server = StripeServer(tmp_path, log=tmp_path / "stripe.log")
    try:
        await server.start()
        async with _desk_at(server.url) as desk:
            yield desk
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("kind", "times", "sorted_as"),
    [
        ("rate_limit", 1, Retryable),
        ("lock_timeout", 3, Retryable),
        ("error_before", 1, ReplayedFailure),
        ("error_after", 1, ReplayedFailure),
        ("drop_before", 3, Unknown),
    ],
)
async def test_each_failure_is_sorted_by_whether_it_may_have_had_an_effect(
    desk: Desk, kind: str, times: int, sorted_as: type[PaymentError]
) -> None:
    await desk.fail(kind, "/v1/customers", times)
    with pytest.raises(PaymentError) as failure:
        await desk.gateway.create_customer(uuid4(), "ada@example.com", "Ada", key=str(uuid4()))
    assert type(failure.value) is sorted_as
    assert "ada" not in str(failure.value).lower()


@pytest.mark.parametrize(("kind", "times"), FAILURES)
async def test_a_failed_capture_tried_again_captures_once(desk: Desk, kind: str, times: int) -> None:
    ref, payment = await desk.held()
    await desk.fail(kind, f"/v1/payment_intents/{payment.payment_intent_id}/capture", times)
    settle = SettlePayment(ref=ref, split=HALF)
    with suppress(Retryable, Unknown):
        await desk.plan.settle(settle, retrying=False)
    settled = await desk.plan.settle(settle, retrying=True)
    assert await desk.has_failed()
    assert (settled.phase, settled.captured_minor) == (HoldPhase.CAPTURED, 5_000)
    charges = await desk.stripe.v1.charges.list_async({"payment_intent": payment.payment_intent_id or ""})
    assert [(charge.captured, charge.amount_captured) for charge in charges.data] == [(True, 5_000)]


@pytest.mark.parametrize(("kind", "times"), FAILURES)
async def test_a_failed_checkout_tried_again_makes_one(desk: Desk, kind: str, times: int) -> None:
    request = await desk.request()
    await desk.fail(kind, "/v1/checkout/sessions", times)
    with suppress(Retryable, Unknown):
        await desk.plan.secure(request, retrying=False)
    checkout = await desk.plan.secure(request, retrying=True)
    assert await desk.has_failed()
    sessions = await desk.stripe.v1.checkout.sessions.list_async({"customer": request.customer_id})
    assert [session.id for session in sessions.data] == [checkout.checkout_session_id]


@pytest.mark.parametrize(("kind", "times"), FAILURES)
async def test_a_failed_refund_tried_again_refunds_once(desk: Desk, kind: str, times: int) -> None:
    ref, payment = await desk.held()
    await desk.plan.settle(SettlePayment(ref=ref, split=HALF), retrying=False)
    await desk.fail(kind, "/v1/refunds", times)
    with suppress(Retryable, Unknown):
        await desk.plan.release(ref, None)
    released = await desk.plan.release(ref, None)
    assert await desk.has_failed()
    assert released.is_returned
    refunds = await desk.stripe.v1.refunds.list_async({"payment_intent": payment.payment_intent_id or ""})
    assert [refund.amount for refund in refunds.data] == [5_000]


async def test_a_checkout_whose_id_was_lost_is_found_and_released(desk: Desk) -> None:
    request = await desk.request()
    checkout = await desk.plan.secure(request, retrying=False)
    released = await desk.plan.release(_ref(request), request.customer_id)
    assert released.phase is HoldPhase.CLOSED
    assert (await desk.plan.look_up(_ref(request, checkout), None)).phase is HoldPhase.CLOSED


async def test_what_was_never_begun_is_released_already(desk: Desk) -> None:
    request = await desk.request()
    assert (await desk.plan.release(_ref(request), request.customer_id)).phase is HoldPhase.CLOSED


async def test_a_hold_that_has_expired_cannot_be_captured_and_is_released_already(desk_of_its_own: Desk) -> None:
    desk = desk_of_its_own
    ref, _ = await desk.held()
    await desk.advance(timedelta(days=8))
    with pytest.raises(Declined):
        await desk.plan.settle(SettlePayment(ref=ref, split=HALF), retrying=False)
    assert (await desk.plan.release(ref, None)).phase is HoldPhase.GONE


async def test_another_amount_than_was_captured_is_declined_and_not_taken_for_success(desk: Desk) -> None:
    ref, _ = await desk.held()
    await desk.plan.settle(SettlePayment(ref=ref, split=HALF), retrying=False)
    everything = split(HUNDRED, BookingPolicy())
    with pytest.raises(Declined, match="captured_amount_differs"):
        await desk.plan.settle(SettlePayment(ref=ref, split=everything), retrying=True)


async def test_a_withdrawn_key_is_for_us_to_mend_and_no_decline(stripe_sandbox: StripeSandbox) -> None:
    async with stripe_client("sk_wrong", stripe_sandbox.url) as client:
        with pytest.raises(Retryable):
            await StripeGateway(client, "http://127.0.0.1:1").look_up("cs_test_none")
