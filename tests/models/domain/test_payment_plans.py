"""Which payment plan a booking gets, and from when on a session can be booked."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.payment_plans import (
    DELAYED_CONFIRMATION,
    EXPECTED_HOLD,
    bookable_from,
    expected_end,
    holding_limit,
    plan_for,
)
from models.domain.policy import Deadlines, PaymentPlan, latest_end

HOLD, CHARGE = PaymentPlan
NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def _windows(most: timedelta) -> st.SearchStrategy[timedelta]:
    return st.timedeltas(timedelta(0), most)


DEADLINES = st.builds(
    Deadlines,
    completion_window=_windows(5 * DAY),
    objection_window=_windows(5 * DAY),
    hold_margin=_windows(DAY),
    holding_limit=st.timedeltas(DAY, 800 * DAY),
)
ENDS = st.timedeltas(timedelta(0), 1_000 * DAY).map(lambda later: NOW + later)


@pytest.mark.parametrize(
    ("country", "limit"),
    [("US", 730 * DAY), ("TH", 10 * DAY), ("DE", 90 * DAY), ("GB", 90 * DAY), (None, 90 * DAY)],
)
def test_how_long_funds_are_held_depends_on_the_platforms_country(country: str | None, limit: timedelta) -> None:
    assert holding_limit(country) == limit


@pytest.mark.parametrize(
    ("ends_in", "plan"),
    [
        (timedelta(days=3), HOLD),
        # The hold's week, less its margin of 6 hours, a day for reports and 12 hours for objections.
        (timedelta(days=5, hours=6), HOLD),
        (timedelta(days=5, hours=6) + SECOND, CHARGE),
        (timedelta(days=88, hours=6), CHARGE),
        (timedelta(days=88, hours=6) + SECOND, None),
    ],
)
def test_plan_follows_from_the_sessions_end(ends_in: timedelta, plan: PaymentPlan | None) -> None:
    assert plan_for(Deadlines(objection_window=timedelta(hours=12)), NOW + ends_in, NOW) is plan


@pytest.mark.parametrize(("limit", "bookable"), [(90 * DAY, 12), (730 * DAY, 12), (10 * DAY, 2)])
def test_how_many_of_twelve_weekly_sessions_can_be_booked(limit: timedelta, bookable: int) -> None:
    """A limit of 10 days, as in Thailand, leaves the next one and the one after it, if that is soon enough."""
    ends = [NOW + timedelta(days=1 + 7 * week) for week in range(12)]
    plans = [plan_for(Deadlines(holding_limit=limit), each, NOW) for each in ends]
    assert plans[0] is HOLD
    assert sum(plan is not None for plan in plans) == bookable


@given(DEADLINES, ENDS)
def test_a_plan_lasts_until_the_booking_is_decided(deadlines: Deadlines, ends_at: datetime) -> None:
    plan = plan_for(deadlines, ends_at, NOW)
    for other in PaymentPlan:
        lasts = latest_end(deadlines, expected_end(other, deadlines, NOW)) >= ends_at
        assert lasts if other is plan else not lasts or plan is HOLD
    if plan is CHARGE:
        assert ends_at + deadlines.completion_window + deadlines.objection_window > NOW + EXPECTED_HOLD - DAY


@given(DEADLINES, ENDS)
def test_a_session_that_is_too_late_names_the_first_moment_at_which_it_is_not(
    deadlines: Deadlines, ends_at: datetime
) -> None:
    first = bookable_from(deadlines, ends_at, NOW)
    assert (first is None) == (plan_for(deadlines, ends_at, NOW) is not None)
    if first is not None:
        assert first > NOW
        assert plan_for(deadlines, ends_at, first) is not None
        assert plan_for(deadlines, ends_at, first - SECOND) is None


@given(DEADLINES, ENDS, st.timedeltas(timedelta(0), 800 * DAY))
def test_waiting_never_makes_a_session_unbookable_before_it_begins(
    deadlines: Deadlines, ends_at: datetime, waited: timedelta
) -> None:
    if plan_for(deadlines, ends_at, NOW):
        assert plan_for(deadlines, ends_at, NOW + waited)


@pytest.mark.parametrize(
    ("earlier", "waits"), [(timedelta(0), False), (SECOND, False), (DAY / 2, False), (-SECOND, True)]
)
def test_the_last_session_that_a_charge_lasts_for_is_bookable_now(earlier: timedelta, waits: bool) -> None:
    deadlines = Deadlines(holding_limit=90 * DAY)
    last = latest_end(deadlines, NOW + 90 * DAY)
    assert bookable_from(deadlines, last - earlier, NOW) == (NOW + SECOND if waits else None)


def test_a_bank_debit_has_as_long_as_stripe_says_that_it_takes() -> None:
    """Stripe, "Delayed notification payment methods": up to 14 days. A card's hold lasts 7."""
    assert (timedelta(days=14), timedelta(days=7)) == (DELAYED_CONFIRMATION, EXPECTED_HOLD)
