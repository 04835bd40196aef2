"""A quote matches the cancellation, until the time at which the quote ends."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from models.domain.actors import Actor, Role
from models.domain.endings import cancelled, payment_after
from models.domain.quotes import CancellationQuote, cancellation_quote
from models.domain.terms import BookingTerms
from tests.models.strategies import terms, times_left

SIDES = st.sampled_from([Role.STUDENT, Role.INSTRUCTOR])
MICROSECOND = timedelta(microseconds=1)


def quoted(of: BookingTerms, by: Role, time_left: timedelta, accepted: bool, held: bool = True) -> CancellationQuote:
    return cancellation_quote(of.price, of.policy, of.starts_at, by, of.starts_at - time_left, accepted, held)


@given(terms(), SIDES, times_left(), st.booleans())
def test_quote_matches_the_cancellation(of: BookingTerms, by: Role, time_left: timedelta, accepted: bool) -> None:
    quote = quoted(of, by, time_left, accepted)
    ending = cancelled(of, Actor(role=by), of.starts_at - time_left, accepted)
    assert quote.split == ending.split
    assert quote.refund + ending.split.kept == of.price
    assert payment_after(of, ending, was_held=True) is not None


@given(terms(), times_left(), st.floats(0, 1))
def test_quote_holds_until_its_tier_ends_and_no_longer(of: BookingTerms, time_left: timedelta, part: float) -> None:
    quote = quoted(of, Role.STUDENT, time_left, accepted=True)
    quoted_at = of.starts_at - time_left
    assert quote.tier_ends_at is not None
    if quote.tier_ends_at < quoted_at:
        assert time_left < timedelta(0)
        return
    later = quoted_at + (quote.tier_ends_at - quoted_at) * part
    for at in (later, quote.tier_ends_at):
        assert quoted(of, Role.STUDENT, of.starts_at - at, accepted=True).split == quote.split
    after = quoted(of, Role.STUDENT, of.starts_at - quote.tier_ends_at - MICROSECOND, accepted=True)
    assert after.tier != quote.tier or quote.tier is None


@given(terms(), times_left())
def test_no_tier_applies_to_the_instructor_or_before_acceptance(of: BookingTerms, time_left: timedelta) -> None:
    for by, accepted in ((Role.INSTRUCTOR, True), (Role.STUDENT, False)):
        quote = quoted(of, by, time_left, accepted)
        assert (quote.refund, quote.tier, quote.tier_ends_at) == (of.price, None, None)


@given(terms(), SIDES, times_left())
def test_unpaid_booking_returns_nothing(of: BookingTerms, by: Role, time_left: timedelta) -> None:
    assert not quoted(of, by, time_left, accepted=False, held=False).refund
