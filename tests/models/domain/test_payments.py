"""What follows from a payment as Stripe has it."""

from uuid import UUID

import pytest

from models.domain.conversions import Conversion
from models.domain.money import Money
from models.domain.payments import HoldPhase, PaymentRef, PaymentState, stripe_dashboard
from models.domain.policy import PaymentPlan
from tests.models.domain.posted import usd

OPEN = PaymentState(phase=HoldPhase.OPEN)


def test_of_a_payment_that_is_not_made_nothing_has_moved() -> None:
    amounts = {name: amount for name, amount in OPEN.model_dump().items() if name.endswith("_minor") and amount}
    assert amounts == {}
    assert not OPEN.is_disputed
    assert OPEN.instructor_minor == 0


def test_a_payment_is_a_first_one_that_nobody_warned_of_unless_it_says_so() -> None:
    ref = PaymentRef(booking_id=UUID(int=1), plan=PaymentPlan.HOLD, student_id=UUID(int=2))
    assert (ref.is_renewal, ref.is_fraudulent, ref.operator_round) == (False, False, 0)


@pytest.mark.parametrize("phase", HoldPhase)
def test_a_payment_was_held_once_it_is_authorized(phase: HoldPhase) -> None:
    held = {HoldPhase.HELD, HoldPhase.CAPTURED, HoldPhase.GONE}
    assert PaymentState(phase=phase).was_held is (phase in held)


def test_the_instructor_has_what_was_not_taken_back_and_not_the_fee() -> None:
    destination = PaymentState(
        phase=HoldPhase.CAPTURED,
        captured_minor=10_000,
        reversed_minor=1_000,
        platform_fee_minor=2_000,
        fee_returned_minor=500,
    )
    assert destination.instructor_minor == 7_500
    transferred = destination.model_copy(update={"transferred_minor": 8_000})
    assert transferred.instructor_minor == 7_000
    assert transferred.with_share(usd(6_000)).instructor_minor == 6_000


def test_the_share_of_a_converted_charge_is_what_was_transferred() -> None:
    """100.00 USD are 92.00 EUR."""
    rate = Conversion(charged=usd(10_000), settled=Money(amount_minor=9_200, currency="eur"))
    charged = PaymentState(phase=HoldPhase.CAPTURED, captured_minor=10_000, transferred_minor=0, conversion=rate)
    assert charged.transferred_share_minor == 0
    moved = charged.with_transfers(7_360, 3_680)
    assert (moved.transferred_minor, moved.reversed_minor, moved.transferred_share_minor) == (8_000, 4_000, 3_680)
    assert moved.missing_share(usd(8_000)) == Money(amount_minor=3_680, currency="eur")
    assert moved.with_share(usd(8_000)).transferred_share_minor == 7_360


@pytest.mark.parametrize(
    ("phase", "refunded", "expected"),
    [
        (HoldPhase.CAPTURED, 99, False),
        (HoldPhase.CAPTURED, 100, True),
        (HoldPhase.CAPTURED, 101, True),
        (HoldPhase.HELD, 100, False),
    ],
)
def test_a_charge_is_returned_once_all_of_it_went_back(phase: HoldPhase, refunded: int, expected: bool) -> None:
    assert PaymentState(phase=phase, captured_minor=100, refunded_minor=refunded).is_returned is expected


def test_a_payment_in_test_mode_is_in_test_modes_dashboard() -> None:
    assert stripe_dashboard("cs_test_1") == "https://dashboard.stripe.com/test/"
    assert stripe_dashboard("cs_live_1") == stripe_dashboard(None) == "https://dashboard.stripe.com/"
