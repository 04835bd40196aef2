"""What a student is asked to pay again, and what the booking goes on with once they have. No Temporal."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from models.domain.payments import Checkout, HoldPhase, PaymentState
from models.domain.policy import PaymentPlan
from models.domain.renewals import Renewal, RenewalReason
from tests.workflows.booking.states import BEFORE, DOLLARS, ENDS_AT, HOUR, STARTS_AT, TERMS, at
from workflows.booking.renewal_state import RenewalState

DAY = timedelta(days=1)
FIRST = Checkout(checkout_session_id="cs_1", customer_id="cus_1", expires_at=BEFORE)
ASKED = Renewal(reason=RenewalReason.HOLD_TOO_SHORT, amount=TERMS.price, pay_by=STARTS_AT - DAY, page=1)
PAGE = ASKED.opened("cs_2", BEFORE + DAY)
LATE_START = TERMS.model_copy(update={"starts_at": BEFORE + 10 * DAY, "ends_at": BEFORE + 10 * DAY + HOUR})


@pytest.mark.parametrize(
    ("lapsed", "approve_by", "reason", "pay_by"),
    [
        # A day before the session, or the margin of 6 hours before the hold's end, whichever is earlier.
        (False, None, RenewalReason.HOLD_TOO_SHORT, BEFORE + 7 * DAY - 6 * HOUR),
        (True, None, RenewalReason.HOLD_LAPSED, BEFORE + 9 * DAY),
        (True, BEFORE + DAY, RenewalReason.HOLD_LAPSED, BEFORE + DAY),
        (True, BEFORE + 20 * DAY, RenewalReason.HOLD_LAPSED, BEFORE + 9 * DAY),
    ],
)
def test_the_price_is_paid_again_in_time_for_both(
    lapsed: bool, approve_by: datetime | None, reason: RenewalReason, pay_by: datetime
) -> None:
    state = RenewalState(pages=2, hold_lapsed=lapsed)
    asked = state.before_session(LATE_START, BEFORE + 7 * DAY, approve_by, BEFORE)
    assert asked == Renewal(reason=reason, amount=TERMS.price, pay_by=pay_by, page=3)
    assert replace(state, request=PAGE).before_session(LATE_START, BEFORE, None, BEFORE) is PAGE


def test_a_move_moves_the_day_by_which_to_pay_and_keeps_the_page() -> None:
    state = RenewalState(request=PAGE)
    state.move(LATE_START, BEFORE + 30 * DAY, None, BEFORE)
    assert state.request == PAGE.until(BEFORE + 9 * DAY)
    RenewalState().move(LATE_START, BEFORE, None, BEFORE)


def test_only_what_is_kept_of_a_lapsed_hold_is_paid_late() -> None:
    lapsed = RenewalState(pages=1, hold_lapsed=True)
    assert lapsed.late(TERMS, DOLLARS[50], ENDS_AT) == Renewal(
        reason=RenewalReason.HOLD_LAPSED, amount=DOLLARS[50], pay_by=ENDS_AT + 3 * DAY, page=2, is_final=True
    )
    assert lapsed.late(TERMS, DOLLARS[0], ENDS_AT) is None
    assert RenewalState(pages=1).late(TERMS, DOLLARS[50], ENDS_AT) is None


def test_a_renewal_is_looked_up_by_its_own_page() -> None:
    found = RenewalState(request=PAGE).ref(replace(at("accepted"), checkout=FIRST).payment_ref)
    assert (found.plan, found.checkout_session_id) == (PaymentPlan.CHARGE_THEN_TRANSFER, "cs_2")
    assert (found.payment_intent_id, found.is_renewal) == (None, True)


def test_the_booking_goes_on_with_the_page_on_which_its_student_has_paid() -> None:
    again = FIRST.model_copy(update={"checkout_session_id": "cs_2", "expires_at": BEFORE + DAY})
    assert RenewalState(request=PAGE).checkout(FIRST) == again
    assert RenewalState(request=PAGE).checkout(None) is None
    assert RenewalState(request=ASKED).checkout(FIRST) is None


@pytest.mark.parametrize(
    ("place", "deadline"),
    [("approval", BEFORE + HOUR), ("accepted", ENDS_AT + DAY), ("ending", None)],
)
def test_a_booking_that_is_paid_again_has_all_of_its_time(place: str, deadline: datetime | None) -> None:
    """A charge can be kept for 90 days, so the whole completion window is left."""
    state = replace(at(place), renewal=RenewalState(request=PAGE, pages=1, hold_lapsed=True), checkout=FIRST)
    renewed = state.renewed(PaymentState(phase=HoldPhase.HELD), BEFORE)
    assert renewed.terms.plan is PaymentPlan.CHARGE_THEN_TRANSFER
    assert (renewed.deadline_at, renewed.payment.hold_ends_at) == (deadline, BEFORE + 90 * DAY)
    before = state.deadline
    state.go_on_with(renewed)
    assert (state.deadline, state.hold_ends_at) == (deadline or before, BEFORE + 90 * DAY)
    assert (state.renewal.request, state.renewal.hold_lapsed, state.renewal.pages) == (None, False, 1)
