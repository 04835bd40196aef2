"""Every way a booking can end, and the payment status that follows."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.domain.actors import PLATFORM, AbsentParty, Actor, Role
from models.domain.endings import (
    Ending,
    EndReason,
    approval_timed_out,
    cancelled,
    completed,
    completion_timed_out,
    kept_on_cancellation,
    no_show,
    payment_after,
    refunded_by_operator,
    rejected,
    released_by_operator,
    settled_by_operator,
    unpaid,
)
from models.domain.money import CurrencyMismatch, Money
from models.domain.policy import (
    BookingPolicy,
    CancellationPolicy,
    CancellationTier,
    CompletionTimeoutPolicy,
    kept_on_student_absence,
    kept_on_student_cancellation,
    split,
)
from models.domain.states import BookingStatus, PaymentStatus, SessionStatus, is_allowed
from models.domain.terms import BookingTerms
from tests.models.strategies import terms, times_left

STARTS_AT = datetime(2026, 12, 3, 10, tzinfo=UTC)
STUDENT = Actor(role=Role.STUDENT, id=uuid4())
INSTRUCTOR = Actor(role=Role.INSTRUCTOR, id=uuid4())
OPERATOR = Actor(role=Role.OPERATOR)
NOT_STUDENTS = [INSTRUCTOR, OPERATOR, PLATFORM]


@st.composite
def endings(draw: st.DrawFn) -> tuple[BookingTerms, Ending]:
    """Any ending of a booking whose payment was secured."""
    of = draw(terms())
    at = of.starts_at - draw(times_left())
    refund = Money(amount_minor=draw(st.integers(0, of.price.amount_minor)), currency=of.price.currency)
    ending = draw(
        st.sampled_from(
            [
                rejected(of, INSTRUCTOR),
                approval_timed_out(of),
                completed(of, INSTRUCTOR),
                cancelled(of, STUDENT, at, accepted=True),
                cancelled(of, STUDENT, at, accepted=False),
                cancelled(of, INSTRUCTOR, at, accepted=True),
                no_show(of, AbsentParty.STUDENT, INSTRUCTOR),
                no_show(of, AbsentParty.INSTRUCTOR, STUDENT),
                completion_timed_out(of),
                settled_by_operator(of, OPERATOR),
                released_by_operator(of, OPERATOR),
                refunded_by_operator(of, OPERATOR, refund, at),
            ]
        )
    )
    return of, ending


@given(endings())
def test_ending_keeps_at_most_the_price_and_splits_it_by_the_policy(
    drawn: tuple[BookingTerms, Ending],
) -> None:
    of, ending = drawn
    assert of.price.zero() <= ending.split.kept <= of.price
    assert ending.split == split(ending.split.kept, of.policy)


@given(endings())
def test_payment_status_follows_the_kept_amount(drawn: tuple[BookingTerms, Ending]) -> None:
    of, ending = drawn
    after = payment_after(of, ending, was_held=True)
    assert after is not None
    assert is_allowed(PaymentStatus.PENDING, after)
    assert (after is PaymentStatus.REFUNDED) == (not ending.split.kept)
    assert (after is PaymentStatus.CAPTURED) == (ending.split.kept == of.price)


@given(endings())
def test_no_payment_status_if_nobody_paid(drawn: tuple[BookingTerms, Ending]) -> None:
    of, ending = drawn
    assert payment_after(of, ending, was_held=False) is None


@given(terms(), st.booleans())
def test_unsecured_payment_has_failed_and_its_booking_is_deleted(of: BookingTerms, was_held: bool) -> None:
    ending = unpaid(of, EndReason.CARD_DECLINED, "insufficient_funds")
    assert (ending.booking, ending.session, ending.decline_code) == (None, None, "insufficient_funds")
    assert payment_after(of, ending, was_held) is PaymentStatus.FAILED
    assert not ending.split.kept


@given(endings())
def test_session_status_follows_the_booking_status(drawn: tuple[BookingTerms, Ending]) -> None:
    _, ending = drawn
    assert ending.booking is not None
    before_approval = ending.booking in (BookingStatus.REJECTED, BookingStatus.EXPIRED)
    assert ending.session == (None if before_approval else SessionStatus(ending.booking.value))


@given(terms(), times_left(), st.sampled_from(NOT_STUDENTS), st.booleans())
def test_cancellation_by_anyone_but_the_student_keeps_nothing(
    of: BookingTerms, time_left: timedelta, actor: Actor, accepted: bool
) -> None:
    assert not cancelled(of, actor, of.starts_at - time_left, accepted).split.kept


@given(terms(), times_left())
def test_student_cancellation_follows_the_tiers_once_accepted(of: BookingTerms, time_left: timedelta) -> None:
    at = of.starts_at - time_left
    expected = kept_on_student_cancellation(of.price, of.policy, max(time_left, timedelta(0)))
    if time_left < timedelta(0):
        expected = kept_on_student_absence(of.price, of.policy)
    assert cancelled(of, STUDENT, at, accepted=True).split.kept == expected
    assert not cancelled(of, STUDENT, at, accepted=False).split.kept


@given(terms())
def test_completion_timeout_follows_the_policy(of: BookingTerms) -> None:
    ending = completion_timed_out(of)
    if of.policy.on_completion_timeout is CompletionTimeoutPolicy.SETTLE:
        assert (ending.booking, ending.split.kept) == (BookingStatus.COMPLETED, of.price)
    else:
        assert (ending.booking, ending.split.kept) == (BookingStatus.CANCELLED, of.price.zero())


@given(terms(), times_left(), st.data())
def test_operator_refund_keeps_the_rest(of: BookingTerms, time_left: timedelta, data: st.DataObject) -> None:
    refund_minor = data.draw(st.integers(0, of.price.amount_minor))
    refund = Money(amount_minor=refund_minor, currency=of.price.currency)
    ending = refunded_by_operator(of, OPERATOR, refund, of.starts_at - time_left)
    assert ending.split.kept + refund == of.price
    assert ending.booking == (BookingStatus.COMPLETED if time_left <= timedelta(0) else BookingStatus.CANCELLED)


@given(terms())
def test_operator_refund_above_the_price_or_in_another_currency_raises(of: BookingTerms) -> None:
    assume(of.price.currency != "eur")
    more = Money(amount_minor=of.price.amount_minor + 1, currency=of.price.currency)
    with pytest.raises(ValueError, match="no portion"):
        refunded_by_operator(of, OPERATOR, more, of.starts_at)
    with pytest.raises(CurrencyMismatch):
        refunded_by_operator(of, OPERATOR, Money(amount_minor=1, currency="eur"), of.starts_at)


@given(terms(), st.sampled_from([settled_by_operator, released_by_operator]))
def test_operator_moves_the_money_of_a_cancellation_or_a_no_show_and_leaves_it_one(
    of: BookingTerms, by_operator: Callable[[BookingTerms, Actor, Ending | None], Ending]
) -> None:
    late = cancelled(of, STUDENT, of.starts_at, accepted=True)
    for earlier in (late, no_show(of, AbsentParty.STUDENT, INSTRUCTOR)):
        assert by_operator(of, OPERATOR, earlier).booking is earlier.booking
        assert refunded_by_operator(of, OPERATOR, of.price, of.ends_at, earlier).booking is earlier.booking
    assert by_operator(of, OPERATOR, completed(of, INSTRUCTOR)).booking is by_operator(of, OPERATOR, None).booking


def test_at_the_exact_start_a_student_still_cancels_and_after_it_they_have_not_come() -> None:
    tiers = (CancellationTier(before=timedelta(0), refund_bps=10_000),)
    lenient = BookingPolicy(cancellation=CancellationPolicy(name="lenient", tiers=tiers))

    def kept_minor(late: timedelta) -> int:
        at = STARTS_AT + late
        price = Money(amount_minor=10_000, currency="usd")
        return kept_on_cancellation(price, lenient, STARTS_AT, Role.STUDENT, at, accepted=True).amount_minor

    moment = timedelta(microseconds=1)
    assert [kept_minor(-moment), kept_minor(0 * moment), kept_minor(moment)] == [0, 0, 5_000]
