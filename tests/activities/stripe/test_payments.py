"""The payment gateway and the hold plan against a failing Stripe: errors are translated, effects happen once."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import stripe

from activities.stripe.client import stripe_client
from activities.stripe.payments import StripeGateway
from models.domain.errors import Declined, PaymentError, ReplayedFailure, Retryable, Unknown
from models.domain.payments import HoldPhase, SettlePayment
from models.domain.policy import BookingPolicy, split
from sandbox.browser.checkout_page import pay
from sandbox.stack.stripe_server import StripeServer
from tests.activities.stripe.faulty_sandbox import HALF, HUNDRED, FaultySandbox, checkout_ref, sandbox_at
from tests.conftest import StripeSandbox

# A server error is stored and replayed to each retry; after a dropped connection, the retry gets the stored response.
FAILURES = ["rate_limit", "lock_timeout", "error_before", "error_after", "drop_before", "drop_after"]


@pytest.fixture
async def sandbox(stripe_sandbox: StripeSandbox) -> AsyncIterator[FaultySandbox]:
    async with sandbox_at(stripe_sandbox.url) as sandbox:
        yield sandbox


@pytest.fixture
async def own_sandbox(tmp_path: Path) -> AsyncIterator[FaultySandbox]:
    """With a separate Stripe server, whose clock a test may advance."""
    server = StripeServer(tmp_path, log=tmp_path / "stripe.log", strict_version=True)
    try:
        await server.start()
        async with sandbox_at(server.url) as sandbox:
            yield sandbox
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("rate_limit", Retryable),
        ("lock_timeout", Retryable),
        ("error_before", Unknown),
        ("error_after", Unknown),
        ("drop_before", Unknown),
    ],
)
async def test_error_type_says_whether_the_call_may_have_had_an_effect(
    sandbox: FaultySandbox, kind: str, expected: type[PaymentError]
) -> None:
    await sandbox.fail(kind, "/v1/customers")
    with pytest.raises(PaymentError) as failure:
        await sandbox.gateway.create_customer(uuid4(), "ada@example.com", "Ada", key=str(uuid4()))
    assert type(failure.value) is expected
    assert "ada" not in str(failure.value).lower()


@pytest.mark.parametrize("kind", ["error_before", "error_after"])
async def test_a_server_error_that_stripe_stored_is_told_from_a_new_one(sandbox: FaultySandbox, kind: str) -> None:
    await sandbox.fail(kind, "/v1/customers")
    student_id, key = uuid4(), str(uuid4())
    for expected in (Unknown, ReplayedFailure):
        with pytest.raises(PaymentError) as failure:
            await sandbox.gateway.create_customer(student_id, "ada@example.com", "Ada", key=key)
        assert type(failure.value) is expected


@pytest.mark.parametrize("is_captured", [True, False])
async def test_hold_has_an_end_only_while_it_lasts(sandbox: FaultySandbox, is_captured: bool) -> None:
    ref, payment = await sandbox.held()
    assert payment.hold_ends_at is not None
    if is_captured:
        after = await sandbox.plan.settle(SettlePayment(ref=ref, split=HALF), retrying=False)
    else:
        after = await sandbox.plan.release(ref, None)
    assert after.hold_ends_at is None


@pytest.mark.parametrize("kind", FAILURES)
async def test_retried_capture_captures_once(sandbox: FaultySandbox, kind: str) -> None:
    ref, payment = await sandbox.held()
    await sandbox.fail(kind, f"/v1/payment_intents/{payment.payment_intent_id}/capture")
    settle = SettlePayment(ref=ref, split=HALF)
    with suppress(Retryable, Unknown):
        await sandbox.plan.settle(settle, retrying=False)
    settled = await sandbox.plan.settle(settle, retrying=True)
    assert await sandbox.has_failed()
    assert (settled.phase, settled.captured_minor) == (HoldPhase.CAPTURED, 5_000)
    charges = await sandbox.stripe.v1.charges.list_async({"payment_intent": payment.payment_intent_id or ""})
    assert [(charge.captured, charge.amount_captured) for charge in charges.data] == [(True, 5_000)]


@pytest.mark.parametrize("kind", FAILURES)
async def test_retried_checkout_creates_one_session(sandbox: FaultySandbox, kind: str) -> None:
    request = await sandbox.request()
    await sandbox.fail(kind, "/v1/checkout/sessions")
    with suppress(Retryable, Unknown):
        await sandbox.plan.secure(request, retrying=False)
    page = await sandbox.plan.secure(request, retrying=True)
    assert await sandbox.has_failed()
    sessions = await sandbox.stripe.v1.checkout.sessions.list_async({"customer": request.customer_id})
    assert [session.id for session in sessions.data] == [page.checkout.checkout_session_id]


@pytest.mark.parametrize("kind", FAILURES)
async def test_retried_refund_refunds_once(sandbox: FaultySandbox, kind: str) -> None:
    ref, payment = await sandbox.held()
    await sandbox.plan.settle(SettlePayment(ref=ref, split=HALF), retrying=False)
    await sandbox.fail(kind, "/v1/refunds")
    with suppress(Retryable, Unknown):
        await sandbox.plan.release(ref, None)
    released = await sandbox.plan.release(ref, None)
    assert await sandbox.has_failed()
    assert released.is_returned
    refunds = await sandbox.stripe.v1.refunds.list_async({"payment_intent": payment.payment_intent_id or ""})
    assert [refund.amount for refund in refunds.data] == [5_000]


async def test_payment_and_checkout_name_their_booking_at_stripe(sandbox: FaultySandbox) -> None:
    request = await sandbox.request()
    page = await sandbox.plan.secure(request, retrying=False)
    assert page.url
    assert await pay(page.url)
    session = await sandbox.stripe.v1.checkout.sessions.retrieve_async(
        page.checkout.checkout_session_id, {"expand": ["payment_intent"]}
    )
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    expected = {"bookingRequestId": str(request.terms.booking_id), "sessionType": "LIVE_SESSION"}
    for stripe_object in (session, session.payment_intent):
        assert stripe_object.metadata
        assert stripe_object.metadata.to_dict() == expected


async def test_release_finds_a_checkout_whose_id_was_lost(sandbox: FaultySandbox) -> None:
    request = await sandbox.request()
    page = await sandbox.plan.secure(request, retrying=False)
    released = await sandbox.plan.release(checkout_ref(request), request.customer_id)
    assert released.phase is HoldPhase.CLOSED
    assert (await sandbox.plan.look_up(checkout_ref(request, page), None)).phase is HoldPhase.CLOSED


async def test_release_without_a_checkout_succeeds(sandbox: FaultySandbox) -> None:
    request = await sandbox.request()
    assert (await sandbox.plan.release(checkout_ref(request), request.customer_id)).phase is HoldPhase.CLOSED


async def test_expired_hold_cannot_be_captured_and_counts_as_released(own_sandbox: FaultySandbox) -> None:
    sandbox = own_sandbox
    ref, _ = await sandbox.held()
    await sandbox.advance(timedelta(days=8))
    with pytest.raises(Declined):
        await sandbox.plan.settle(SettlePayment(ref=ref, split=HALF), retrying=False)
    assert (await sandbox.plan.release(ref, None)).phase is HoldPhase.GONE


async def test_keeping_more_than_was_captured_is_declined(sandbox: FaultySandbox) -> None:
    ref, _ = await sandbox.held()
    await sandbox.plan.settle(SettlePayment(ref=ref, split=HALF), retrying=False)
    everything = split(HUNDRED, BookingPolicy())
    with pytest.raises(Declined, match="less_is_captured_than_the_ending_keeps"):
        await sandbox.plan.settle(SettlePayment(ref=ref, split=everything), retrying=True)


async def test_revoked_api_key_is_retryable(stripe_sandbox: StripeSandbox) -> None:
    async with stripe_client("sk_wrong", stripe_sandbox.url) as client:
        with pytest.raises(Retryable):
            await StripeGateway(client, "http://127.0.0.1:1").look_up("cs_test_none")
