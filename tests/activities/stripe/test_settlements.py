"""Settling at Stripe what others have captured, refunded, reversed or returned there before."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import stripe
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from models.domain.errors import Declined, Retryable, Unknown
from models.domain.money import SUPPORTED, Money, minimum_charge, step_minor
from models.domain.payments import PaymentRef, PaymentState, SettlePayment
from models.domain.policy import BookingPolicy, Split, split
from models.domain.settlements import part_of_ending
from tests.activities.stripe.faulty_sandbox import HALF, FaultySandbox, sandbox_at
from tests.conftest import StripeSandbox
from tests.models.strategies import CURRENCIES

FAILURES = ["error_before", "error_after", "drop_before", "drop_after"]
BOTH = {"reverse_transfer": True, "refund_application_fee": True}


@pytest.fixture
async def sandbox(stripe_sandbox: StripeSandbox) -> AsyncIterator[FaultySandbox]:
    async with sandbox_at(stripe_sandbox.url) as sandbox:
        yield sandbox


class Dashboard(NamedTuple):
    """What somebody does in Stripe's dashboard."""

    client: stripe.StripeClient
    payment_intent_id: str

    async def capture(self, amount_minor: int, fee_minor: int | None = None) -> None:
        params: Any = {"amount_to_capture": amount_minor}
        if fee_minor is not None:
            params["application_fee_amount"] = fee_minor
        await self.client.v1.payment_intents.capture_async(self.payment_intent_id, params)

    async def refund(self, amount_minor: int, flags: dict[str, bool]) -> None:
        params: Any = {"payment_intent": self.payment_intent_id, "amount": amount_minor, **flags}
        await self.client.v1.refunds.create_async(params)

    async def charge(self) -> stripe.Charge:
        charges = await self.client.v1.charges.list_async({"payment_intent": self.payment_intent_id})
        return charges.data[0]


async def _held(sandbox: FaultySandbox) -> tuple[PaymentRef, Dashboard]:
    ref, payment = await sandbox.held()
    return ref, Dashboard(sandbox.stripe, payment.payment_intent_id or "")


def _is_settled(payment: PaymentState, kept: Split) -> bool:
    return (payment.captured_minor - payment.refunded_minor, payment.instructor_minor) == (
        kept.kept.amount_minor,
        kept.instructor_payout.amount_minor,
    )


async def _settle(sandbox: FaultySandbox, ref: PaymentRef, kept: Split = HALF) -> PaymentState:
    """Settle, and check that what is returned is what Stripe has."""
    payment = await sandbox.plan.settle(SettlePayment(ref=ref, split=kept), retrying=False)
    assert payment == part_of_ending(await sandbox.plan.look_up(ref, None), kept).model_copy(
        update={"checkout_session_id": payment.checkout_session_id}
    )
    return payment


async def test_fee_of_a_part_captured_in_the_dashboard_is_corrected(sandbox: FaultySandbox) -> None:
    """Stripe does not prorate the fee of 20.00."""
    ref, dashboard = await _held(sandbox)
    await dashboard.capture(5_000)
    payment = await _settle(sandbox, ref)
    assert _is_settled(payment, HALF)
    assert (payment.platform_fee_minor, payment.fee_returned_minor) == (2_000, 1_000)


async def test_share_that_is_too_large_is_reversed(sandbox: FaultySandbox) -> None:
    ref, dashboard = await _held(sandbox)
    await dashboard.capture(5_000, 0)
    payment = await _settle(sandbox, ref)
    assert _is_settled(payment, HALF)
    assert payment.reversed_minor == 1_000


@pytest.mark.parametrize("flags", [{}, {"reverse_transfer": True}, BOTH])
async def test_difference_of_a_full_capture_in_the_dashboard_is_refunded(
    sandbox: FaultySandbox, flags: dict[str, bool]
) -> None:
    ref, dashboard = await _held(sandbox)
    await dashboard.capture(10_000)
    await dashboard.refund(2_000, flags)
    payment = await _settle(sandbox, ref)
    assert _is_settled(payment, HALF)
    assert len(payment.refund_ids) == 2


@pytest.mark.parametrize(("fee_bps", "returned_before"), [(2_000, 0), (2_000, 500), (2_000, 2_000), (0, 0)], ids=str)
async def test_release_of_a_capture_returns_share_and_fee(
    sandbox: FaultySandbox, fee_bps: int, returned_before: int
) -> None:
    """Whatever went back of the fee before, and also if none was taken."""
    ref, payment = await sandbox.held(policy=BookingPolicy(fee_bps=fee_bps))
    dashboard = Dashboard(sandbox.stripe, payment.payment_intent_id or "")
    await dashboard.capture(10_000)
    if returned_before:
        fee_id = str((await dashboard.charge()).application_fee)
        await sandbox.stripe.v1.application_fees.refunds.create_async(fee_id, {"amount": returned_before})
    released = await sandbox.plan.release(ref, None)
    assert (released.is_returned, released.refunded_minor, released.reversed_minor) == (True, 10_000, 10_000)
    assert released.fee_returned_minor == released.platform_fee_minor == fee_bps


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("path", ["/v1/refunds", "/v1/application_fees/*"])
async def test_correction_whose_answer_is_lost_is_made_once(sandbox: FaultySandbox, kind: str, path: str) -> None:
    ref, dashboard = await _held(sandbox)
    await dashboard.capture(10_000)
    await sandbox.fail(kind, path)
    for _ in range(3):
        try:
            payment = await _settle(sandbox, ref)
        except (Retryable, Unknown):
            continue
        break
    assert await sandbox.has_failed()
    assert _is_settled(payment, HALF)
    assert [payment.refunded_minor, payment.fee_returned_minor] == [5_000, 1_000]


@pytest.mark.parametrize(
    ("captured", "refunded", "why"),
    [(4_000, 0, "less_is_captured"), (10_000, 6_000, "more_is_refunded")],
)
async def test_capture_that_cannot_be_put_right_is_declined_and_left_as_it_is(
    sandbox: FaultySandbox, captured: int, refunded: int, why: str
) -> None:
    ref, dashboard = await _held(sandbox)
    await dashboard.capture(captured)
    if refunded:
        await dashboard.refund(refunded, BOTH)
    with pytest.raises(Declined, match=why):
        await _settle(sandbox, ref)
    charge = await dashboard.charge()
    assert (charge.amount_captured, charge.amount_refunded) == (captured, refunded)


async def test_fee_that_rounds_to_zero_is_captured_as_zero(sandbox: FaultySandbox) -> None:
    """Left out of the capture, the fee of the whole price would be taken."""
    policy = BookingPolicy(fee_bps=1)
    ref, payment = await sandbox.held(Money(amount_minor=10_000, currency="jpy"), policy)
    kept = split(Money(amount_minor=50, currency="jpy"), policy)
    assert (payment.platform_fee_minor, kept.platform_fee.amount_minor) == (1, 0)
    settled = await _settle(sandbox, ref, kept)
    assert (settled.platform_fee_minor, settled.instructor_minor) == (0, 50)


class Case(NamedTuple):
    price: Money
    policy: BookingPolicy
    kept: Money
    captured: Money | None
    """In the dashboard; `None` if nobody interfered."""
    refunded: Money
    flags: dict[str, bool]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    currency = draw(st.sampled_from(CURRENCIES) | st.sampled_from(sorted(SUPPORTED)))
    least, step = minimum_charge(currency).amount_minor, step_minor(currency)

    def amount(low: int, high: int) -> Money:
        return Money(amount_minor=draw(st.integers(-(-low // step), high // step)) * step, currency=currency)

    price = amount(least, draw(st.sampled_from([least * 3, 1_000_000])))
    kept = amount(least, price.amount_minor)
    captured = amount(least, price.amount_minor) if draw(st.booleans()) else None
    refunded = amount(0, captured.amount_minor if captured else 0)
    policy = BookingPolicy(fee_bps=draw(st.sampled_from([0, 1, 2_000, 3_333, 10_000])))
    return Case(price, policy, kept, captured, refunded, draw(st.sampled_from([{}, {"reverse_transfer": True}, BOTH])))


async def _play(sandbox: FaultySandbox, case: Case) -> None:
    ref, payment = await sandbox.held(case.price, case.policy)
    dashboard = Dashboard(sandbox.stripe, payment.payment_intent_id or "")
    if case.captured:
        await dashboard.capture(case.captured.amount_minor)
        flags = case.flags if (await dashboard.charge()).application_fee else {}
        if case.refunded:
            await dashboard.refund(case.refunded.amount_minor, flags)
    kept = split(case.kept, case.policy)
    try:
        settled = await _settle(sandbox, ref, kept)
    except Declined:
        # The booking is parked. That happens only where others moved too much for the ending.
        assert case.captured is not None
        assert case.captured < case.kept or case.refunded > case.captured - case.kept
    else:
        assert _is_settled(settled, kept)


async def test_payment_is_what_the_ending_keeps_or_the_booking_is_parked(sandbox: FaultySandbox) -> None:
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def plays(case: Case) -> None:
        asyncio.run_coroutine_threadsafe(_play(sandbox, case), loop).result()

    await asyncio.to_thread(plays)
