"""By when a payment has to be made again, and on which pages."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from models.domain.money import Money
from models.domain.policy import Deadlines, renewal_deadline
from models.domain.renewals import Renewal, RenewalReason, page_ends

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
    asked = Renewal(reason=RenewalReason.HOLD_LAPSED, amount=price, pay_by=NOW + 2 * DAY, page=1, is_final=True)
    assert not asked.is_reminder
    again = asked.opened("cs_1", NOW + DAY).next_page()
    assert (again.page, again.is_reminder, again.checkout_session_id, again.page_ends_at) == (2, True, None, None)
    assert (again.amount, again.pay_by, again.reason, again.is_final) == (price, asked.pay_by, asked.reason, True)
