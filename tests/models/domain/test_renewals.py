"""By when a payment has to be made again, and on which pages."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.money import Money
from models.domain.policy import Deadlines, renewal_deadline
from models.domain.renewals import Renewal, RenewalReason, is_final, page_ends

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TIMES = st.timedeltas(timedelta(0), 120 * DAY)
DEADLINES = st.builds(
    Deadlines, renewal_lead=st.timedeltas(timedelta(0), 10 * DAY), hold_margin=st.timedeltas(timedelta(0), DAY)
)


@given(DEADLINES, TIMES, st.none() | TIMES)
def test_there_is_time_to_pay_and_time_left_before_the_session(
    deadlines: Deadlines, starts_in: timedelta, hold_lasts: timedelta | None
) -> None:
    hold_ends_at = None if hold_lasts is None else NOW + hold_lasts
    pay_by = renewal_deadline(deadlines, NOW, NOW + starts_in, hold_ends_at)
    assert NOW <= pay_by <= NOW + starts_in
    if hold_ends_at is None:
        # A lead of a day at most, and never more than half of the time that is left.
        assert pay_by == max(NOW + starts_in - deadlines.renewal_lead, NOW + starts_in / 2)
    else:
        # The old hold is released, not lost: the new payment is made while it lasts.
        assert pay_by <= max(hold_ends_at - deadlines.hold_margin, NOW)


@given(st.timedeltas(timedelta(0), 30 * DAY))
def test_a_page_is_open_for_as_long_as_stripe_allows(left: timedelta) -> None:
    lasts = page_ends(NOW, NOW + left) - NOW
    assert timedelta(minutes=30) <= lasts < DAY
    assert lasts <= max(left, HOUR)


def test_the_next_page_reminds_of_the_same_payment() -> None:
    price = Money(amount_minor=10_000, currency="usd")
    asked = Renewal(reason=RenewalReason.HOLD_TOO_SHORT, amount=price, pay_by=NOW + 2 * DAY, page=1)
    assert not asked.is_reminder
    again = asked.opened("cs_1", NOW + DAY).next_page()
    assert (again.page, again.is_reminder, again.checkout_session_id, again.page_ends_at) == (2, True, None, None)
    assert (again.amount, again.pay_by, again.reason) == (price, asked.pay_by, asked.reason)


@pytest.mark.parametrize(
    ("amount_minor", "pay_in", "expected"),
    [
        (10_000, -HOUR, False),
        (10_000, timedelta(0), False),
        (10_000, timedelta(microseconds=1), True),
        (10_000, 3 * DAY, True),
        (5_000, -HOUR, True),
        (5_000, 3 * DAY, True),
    ],
)
def test_what_is_due_after_the_start_or_is_less_than_the_price_is_for_an_ending(
    amount_minor: int, pay_in: timedelta, expected: bool
) -> None:
    price, due = (Money(amount_minor=minor, currency="usd") for minor in (10_000, amount_minor))
    assert is_final(due, NOW + pay_in, price, starts_at=NOW) is expected
