"""The table that operators read in Temporal's UI."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from models.domain.messages import RecordRefusedSignal
from models.domain.payments import Checkout, HoldPhase, PaymentState
from models.domain.policy import PaymentPlan
from tests.workflows.booking.states import BEFORE, COMPLETE, CONTEST, HOUR, REPORT, TERMS, at
from workflows.booking import details
from workflows.booking.state import BookingState

PAGE = "https://holdfast.test/operator/bookings/1"
CHECKOUT = Checkout(checkout_session_id="cs_test_1", customer_id="cus_1", expires_at=BEFORE)
HELD = PaymentState(phase=HoldPhase.HELD, payment_intent_id="pi_1")


def cells(state: BookingState) -> dict[str, str]:
    head, rule, *rows = details.table(state).splitlines()
    assert (head, rule) == ("| Booking | |", "| --- | --- |")
    found = {}
    for row in rows:
        _, name, cell, end = row.replace("\\|", "\0").split("|")
        assert end == ""
        found[name.strip().strip("*")] = cell.strip().replace("\0", "|")
    return found


@pytest.mark.parametrize(
    ("state", "waits_for", "until"),
    [
        (at("approval"), "the instructor's decision", BEFORE + HOUR),
        (replace(at("begun"), report=REPORT), "a no-show to be contested", BEFORE + HOUR),
        (replace(at("over"), report=COMPLETE), "a completion to be objected to", BEFORE + HOUR),
        (
            replace(at("begun"), report=REPORT, answer=CONTEST),
            "the session's end, to judge what was reported of it",
            BEFORE + HOUR,
        ),
        (replace(at("begun"), parked_because="x | y"), "an operator's decision: x | y", None),
        (replace(at("begun"), parked_because="x", parked_until=BEFORE), "an operator's decision: x", BEFORE),
        (at("ending"), "the money to move", None),
        (at("closed"), "nothing, it is closed: the slot had been taken", None),
    ],
    ids=["waiting", "reported", "completed", "contested", "parked", "parked with a limit", "ending", "closed"],
)
def test_operators_read_what_the_booking_waits_for(state: BookingState, waits_for: str, until: datetime | None) -> None:
    assert state.next_deadline == until
    shown = cells(state)
    assert shown["Waits for"] == waits_for
    assert ("Runbook" in shown) is state.is_parked
    assert shown.get("Until") == (f"{until:%Y-%m-%d %H:%M:%S} UTC" if until else None)
    assert shown["Session"] == "2026-12-03 10:00:00 UTC to 2026-12-03 11:00:00 UTC"


@pytest.mark.parametrize(
    ("payment", "plan", "money"),
    [
        (None, PaymentPlan.HOLD, "nothing of 100.00 USD yet"),
        (PaymentState(phase=HoldPhase.OPEN), PaymentPlan.HOLD, "nothing of 100.00 USD yet"),
        (
            PaymentState(phase=HoldPhase.PROCESSING),
            PaymentPlan.HOLD,
            "100.00 USD, which the student's bank is still to confirm",
        ),
        (HELD, PaymentPlan.HOLD, "100.00 USD held until 2026-12-08 10:00:00 UTC"),
        (
            HELD,
            PaymentPlan.CHARGE_THEN_TRANSFER,
            "100.00 USD charged and not transferred until 2026-12-08 10:00:00 UTC",
        ),
        (
            PaymentState(phase=HoldPhase.CAPTURED, captured_minor=10_000, platform_fee_minor=2_000),
            PaymentPlan.HOLD,
            "100.00 USD captured, 80.00 USD of it for the instructor",
        ),
        (
            PaymentState(
                phase=HoldPhase.CAPTURED, captured_minor=10_000, transferred_minor=4_000, refunded_minor=5_000
            ),
            PaymentPlan.CHARGE_THEN_TRANSFER,
            "100.00 USD captured, 40.00 USD of it for the instructor, 50.00 USD went back",
        ),
        (PaymentState(phase=HoldPhase.GONE), PaymentPlan.HOLD, "100.00 USD went back to the student"),
    ],
    ids=["no page", "open", "processing", "held", "charged", "captured", "captured in part", "returned"],
)
def test_operators_read_where_the_money_is(payment: PaymentState | None, plan: PaymentPlan, money: str) -> None:
    terms = TERMS.model_copy(update={"plan": plan})
    assert cells(replace(at("accepted"), terms=terms, payment=payment))["Money"] == money


def test_links_lead_to_the_page_and_to_stripes_dashboard_of_the_payments_mode() -> None:
    assert "Links" not in cells(at("approval"))
    test = replace(at("approval"), page_url=PAGE, checkout=CHECKOUT, payment=HELD)
    dashboard = "https://dashboard.stripe.com"
    assert cells(test)["Links"] == f"[Booking]({PAGE}), [Payment at Stripe]({dashboard}/test/payments/pi_1)"
    live = replace(test, checkout=CHECKOUT.model_copy(update={"checkout_session_id": "cs_live_1"}))
    assert cells(live)["Links"].endswith(f"({dashboard}/payments/pi_1)")


def test_refused_signal_is_shown_beside_what_the_booking_waits_for() -> None:
    refused = RecordRefusedSignal(
        booking_id=TERMS.booking_id, signal="complete", reason="It is too early.", at=BEFORE - timedelta(minutes=1)
    )
    shown = cells(replace(at("approval"), refused_signal=refused))
    assert shown["Refused"] == "the signal `complete` at 2026-12-02 03:59:00 UTC: It is too early."
    assert shown["Waits for"] == "the instructor's decision"
