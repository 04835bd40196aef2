"""A booking's ending is recorded: the booking request, its session, its payment and the instructor's payout."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from models.domain.actors import PLATFORM, AbsentParty, Actor, Role
from models.domain.decisions import Stage
from models.domain.endings import (
    Ending,
    EndReason,
    approval_timed_out,
    cancelled,
    completed,
    completion_timed_out,
    no_show,
    rejected,
    released_by_operator,
    unpaid,
)
from models.domain.messages import RecordAttention, RecordEnding
from models.domain.money import Money
from models.domain.payments import HoldPhase, PaymentState
from models.domain.policy import split
from models.domain.states import BookingStatus, IllegalTransition, PaymentStatus, PayoutStatus, SessionStatus
from models.domain.terms import BookingTerms
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.payments import InstructorPayout, Payment
from tests.activities.bookings import HOUR, NOW, STARTS_AT, Bookings, authorization, ended, held, reserve

STUDENT = Actor(role=Role.STUDENT)

EndingOf = Callable[[BookingTerms], Ending]


@dataclass(frozen=True)
class Outcome:
    """The records after the ending. Amounts in minor units, of a price of 100.00 USD."""

    booking: BookingStatus
    session: SessionStatus
    payment: PaymentStatus
    captured: int
    returned: int
    fee: int
    paid_out: int | None


def _late_cancellation(terms: BookingTerms) -> Ending:
    return cancelled(terms, STUDENT, terms.starts_at - timedelta(hours=3), accepted=True)


def _early_cancellation(terms: BookingTerms) -> Ending:
    return cancelled(terms, STUDENT, terms.starts_at - timedelta(hours=30), accepted=True)


_ALL_BACK = (PaymentStatus.REFUNDED, 0, 10_000, 0, None)
_ALL_KEPT = (PaymentStatus.CAPTURED, 10_000, 0, 2_000, 8_000)
_HALF_KEPT = (PaymentStatus.PARTIALLY_REFUNDED, 5_000, 5_000, 1_000, 4_000)


@pytest.mark.parametrize(
    ("ending_of", "phase", "expected"),
    [
        (
            lambda terms: completed(terms, PLATFORM),
            HoldPhase.CAPTURED,
            Outcome(BookingStatus.COMPLETED, SessionStatus.COMPLETED, *_ALL_KEPT),
        ),
        (
            _late_cancellation,
            HoldPhase.CAPTURED,
            Outcome(BookingStatus.CANCELLED, SessionStatus.CANCELLED, *_HALF_KEPT),
        ),
        (
            lambda terms: no_show(terms, AbsentParty.STUDENT, PLATFORM),
            HoldPhase.CAPTURED,
            Outcome(BookingStatus.NO_SHOW, SessionStatus.NO_SHOW, *_ALL_KEPT),
        ),
        (
            lambda terms: no_show(terms, AbsentParty.INSTRUCTOR, PLATFORM),
            HoldPhase.GONE,
            Outcome(BookingStatus.NO_SHOW, SessionStatus.NO_SHOW, *_ALL_BACK),
        ),
        (
            _early_cancellation,
            HoldPhase.GONE,
            Outcome(BookingStatus.CANCELLED, SessionStatus.CANCELLED, *_ALL_BACK),
        ),
        (completion_timed_out, HoldPhase.GONE, Outcome(BookingStatus.CANCELLED, SessionStatus.CANCELLED, *_ALL_BACK)),
    ],
    ids=[
        "completed",
        "cancelled late",
        "student absent",
        "instructor absent",
        "cancelled early",
        "timed out",
    ],
)
async def test_ending_of_an_accepted_booking_closes_session_payment_and_payout(
    bookings: Bookings, ending_of: EndingOf, phase: HoldPhase, expected: Outcome
) -> None:
    terms = await bookings.accepted()
    room = (await bookings.get(LiveSession, terms.booking_id)).room
    await bookings.records.record_ending(ended(terms, ending_of(terms), held(terms, phase)))
    assert await _outcome(bookings, terms) == expected
    live_session = await bookings.get(LiveSession, terms.booking_id)
    assert live_session.platform_fee_minor == expected.fee
    assert live_session.instructor_payout_minor == (expected.paid_out or 0)
    assert live_session.total_price_minor == 10_000
    assert (live_session.room != room) is (expected.session is SessionStatus.CANCELLED)


async def test_closed_booking_has_no_deadline_and_needs_no_attention(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await bookings.records.record_attention(RecordAttention(booking_id=terms.booking_id, reason="settle", at=NOW))
    await bookings.records.record_ending(ended(terms, released_by_operator(terms, PLATFORM), held(terms)))
    row = await bookings.get(BookingRequest, terms.booking_id)
    assert (row.next_deadline_at, row.checkout_url) == (None, None)
    assert (row.needs_attention, row.attention_reason) == (False, None)
    assert row.end_reason is EndReason.RELEASED_BY_OPERATOR


@pytest.mark.parametrize(
    ("ending_of", "status"),
    [
        (lambda terms: rejected(terms, PLATFORM), BookingStatus.REJECTED),
        (approval_timed_out, BookingStatus.EXPIRED),
        (lambda terms: cancelled(terms, STUDENT, NOW, accepted=False), BookingStatus.CANCELLED),
    ],
    ids=["rejected", "unanswered", "cancelled"],
)
async def test_booking_that_ends_before_approval_is_refunded_and_has_no_session(
    bookings: Bookings, ending_of: EndingOf, status: BookingStatus
) -> None:
    terms = await bookings.authorized()
    await bookings.records.record_ending(ended(terms, ending_of(terms), held(terms, HoldPhase.GONE)))
    assert (await bookings.get(BookingRequest, terms.booking_id)).status is status
    assert (await bookings.get(Payment, terms.booking_id)).status is PaymentStatus.REFUNDED
    assert await bookings.all(LiveSession) == []
    assert await bookings.all(InstructorPayout) == []


@pytest.mark.parametrize("payment", [None, PaymentState(phase=HoldPhase.CLOSED)], ids=["no checkout", "unpaid"])
async def test_booking_cancelled_before_payment_has_no_payment_row(
    bookings: Bookings, payment: PaymentState | None
) -> None:
    terms = await bookings.reserved()
    await bookings.records.record_ending(ended(terms, cancelled(terms, STUDENT, NOW, accepted=False), payment))
    row = await bookings.get(BookingRequest, terms.booking_id)
    assert (row.status, row.checkout_url) == (BookingStatus.CANCELLED, None)
    assert await bookings.all(Payment) == []


async def test_hold_released_before_it_was_recorded_gets_a_payment_row(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    ending = cancelled(terms, STUDENT, NOW, accepted=False)
    await bookings.records.record_ending(ended(terms, ending, held(terms, HoldPhase.GONE)))
    payment = await bookings.get(Payment, terms.booking_id)
    assert payment.status is PaymentStatus.REFUNDED
    assert (payment.returned_minor, payment.payment_intent_id) == (10_000, f"pi_{terms.booking_id}")


async def test_declined_card_deletes_the_booking_request_and_keeps_the_reason(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    declined = PaymentState(phase=HoldPhase.CLOSED, payment_intent_id="pi_9", decline_code="insufficient_funds")
    await bookings.records.record_ending(
        ended(terms, unpaid(terms, EndReason.CARD_DECLINED, "insufficient_funds", "try_again_later"), declined)
    )
    assert await bookings.find(BookingRequest, terms.booking_id) is None
    payment = await bookings.get(Payment, terms.booking_id)
    assert (payment.status, payment.decline_code) == (PaymentStatus.FAILED, "insufficient_funds")
    assert (payment.captured_minor, payment.returned_minor, payment.payment_intent_id) == (0, 0, "pi_9")
    deleted = (await bookings.audit(terms.booking_id))[-1]
    assert deleted.action == "booking.deleted"
    assert deleted.detail == {
        "reason": "card_declined",
        "decline_code": "insufficient_funds",
        "advice_code": "try_again_later",
        "student_id": str(terms.student_id),
        "slot_id": str(terms.slot_id),
    }


async def test_booking_is_deleted_with_a_failed_payment_when_stripe_rejects_the_checkout(bookings: Bookings) -> None:
    terms = await bookings.terms()
    assert await bookings.records.reserve_slot(reserve(terms))
    await bookings.records.record_ending(ended(terms, unpaid(terms, EndReason.CHECKOUT_REFUSED), payment=None))
    assert await bookings.find(BookingRequest, terms.booking_id) is None
    payment = await bookings.get(Payment, terms.booking_id)
    assert (payment.status, payment.payment_intent_id) == (PaymentStatus.FAILED, None)


async def test_repeating_an_earlier_step_does_not_restore_a_deleted_booking(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    message = ended(terms, unpaid(terms, EndReason.CHECKOUT_EXPIRED), PaymentState(phase=HoldPhase.CLOSED))
    await bookings.records.record_ending(message)
    before = await bookings.everything()
    assert await bookings.records.reserve_slot(reserve(terms))
    await bookings.records.record_ending(message)
    assert await bookings.everything() == before


@pytest.mark.parametrize("phase", [HoldPhase.CAPTURED, HoldPhase.GONE])
async def test_recording_an_ending_twice_changes_nothing(bookings: Bookings, phase: HoldPhase) -> None:
    terms = await bookings.accepted()
    ending = completed(terms, PLATFORM) if phase is HoldPhase.CAPTURED else completion_timed_out(terms)
    message = ended(terms, ending, held(terms, phase))
    await bookings.records.record_ending(message)
    once = await bookings.everything()
    await bookings.records.record_ending(message.model_copy(update={"at": message.at + HOUR}))
    await bookings.records.record_authorization(authorization(terms))
    await bookings.records.record_acceptance(bookings.acceptance(terms))
    assert await bookings.everything() == once


async def test_ten_concurrent_endings_are_recorded_once(bookings: Bookings) -> None:
    accepted, unauthorized = await bookings.accepted(), await bookings.terms(STARTS_AT + HOUR)
    assert await bookings.records.reserve_slot(reserve(unauthorized))
    messages = [
        ended(accepted, completed(accepted, PLATFORM), held(accepted, HoldPhase.CAPTURED)),
        ended(unauthorized, unpaid(unauthorized, EndReason.CHECKOUT_EXPIRED), PaymentState(phase=HoldPhase.CLOSED)),
    ]
    await asyncio.gather(*(bookings.records.record_ending(message) for message in messages for _ in range(10)))
    assert len(await bookings.all(InstructorPayout)) == 1
    assert [row.id for row in await bookings.all(BookingRequest)] == [accepted.booking_id]
    for message in messages:
        actions = [event.action for event in await bookings.audit(message.terms.booking_id)]
        assert len(actions) == len(set(actions))


async def test_ended_booking_does_not_end_differently_and_the_attempt_is_told_how_it_ended(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await bookings.records.record_ending(ended(terms, completion_timed_out(terms), held(terms, HoldPhase.GONE)))
    before = await bookings.everything()
    again = ended(terms, completed(terms, PLATFORM), held(terms, HoldPhase.CAPTURED))
    recorded = await bookings.records.record_ending(again)
    assert recorded is not None
    assert (recorded.stage, recorded.view.end_reason) == (Stage.CLOSED, EndReason.COMPLETION_TIMEOUT)
    assert await bookings.everything() == before


async def test_booking_with_a_recorded_hold_cannot_be_deleted(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    with pytest.raises(IllegalTransition):
        await bookings.records.record_ending(ended(terms, unpaid(terms, EndReason.CHECKOUT_EXPIRED), held(terms)))
    assert (await bookings.get(BookingRequest, terms.booking_id)).status is BookingStatus.PENDING


async def test_zero_share_creates_no_payout(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    all_fee = terms.model_copy(update={"policy": terms.policy.model_copy(update={"fee_bps": 10_000})})
    message = ended(all_fee, completed(all_fee, PLATFORM), held(terms, HoldPhase.CAPTURED))
    await bookings.records.record_ending(message)
    assert (await bookings.get(Payment, terms.booking_id)).platform_fee_minor == 10_000
    assert await bookings.all(InstructorPayout) == []


async def test_captured_and_returned_amounts_add_up_to_the_price(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    message = _kept(ended(terms, completed(terms, PLATFORM), held(terms, HoldPhase.CAPTURED)), kept_minor=3_333)
    await bookings.records.record_ending(message)
    payment = await bookings.get(Payment, terms.booking_id)
    assert (payment.captured_minor, payment.returned_minor) == (3_333, 6_667)
    assert payment.status is PaymentStatus.PARTIALLY_REFUNDED


def _kept(message: RecordEnding, kept_minor: int) -> RecordEnding:
    kept = Money(amount_minor=kept_minor, currency="usd")
    ending = message.ending.model_copy(update={"split": split(kept, message.terms.policy)})
    return ended(message.terms, ending, message.payment)


async def _outcome(bookings: Bookings, terms: BookingTerms) -> Outcome:
    payment = await bookings.get(Payment, terms.booking_id)
    payouts = await bookings.all(InstructorPayout)
    assert all(payout.status is PayoutStatus.PROCESSING for payout in payouts)
    return Outcome(
        booking=(await bookings.get(BookingRequest, terms.booking_id)).status,
        session=(await bookings.get(LiveSession, terms.booking_id)).status,
        payment=payment.status,
        captured=payment.captured_minor,
        returned=payment.returned_minor,
        fee=payment.platform_fee_minor,
        paid_out=payouts[0].amount_minor if payouts else None,
    )
