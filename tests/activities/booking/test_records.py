"""What the saga writes down on the way to a session."""

from collections.abc import Awaitable, Callable

import pytest

from models.domain.actors import PLATFORM, Actor, Role
from models.domain.endings import cancelled
from models.domain.messages import Extend, RecordAttention, RecordDeadline, Retry
from models.domain.states import BookingStatus, IllegalTransition, PaymentStatus, SessionStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.payments import Payment
from models.tables.people import Student
from tests.activities.bookings import HOUR, NOW, Bookings, authorization, checkout, ended, reserve

OPERATOR = Actor(role=Role.OPERATOR)


async def test_a_reserved_slot_is_a_pending_booking_with_its_price_fee_and_policy_frozen(bookings: Bookings) -> None:
    terms = await bookings.terms()
    assert await bookings.records.reserve_slot(reserve(terms))
    row = await bookings.get(BookingRequest, terms.booking_id)
    assert row.status is BookingStatus.PENDING
    assert (row.price_minor, row.platform_fee_minor, row.currency) == (10_000, 2_000, "usd")
    assert type(terms.policy).model_validate(row.policy) == terms.policy
    assert row.next_deadline_at == NOW + HOUR / 2
    assert (row.starts_at, row.ends_at) == (terms.starts_at, terms.ends_at)


async def test_the_checkout_is_remembered_with_the_students_customer(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    row = await bookings.get(BookingRequest, terms.booking_id)
    assert row.checkout_session_id == f"cs_{terms.booking_id}"
    assert row.checkout_url == f"https://checkout.example.test/{terms.booking_id}"
    assert (await bookings.get(Student, terms.student_id)).stripe_customer_id == f"cus_{terms.student_id}"


async def test_a_student_keeps_the_customer_they_had(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    again = terms.model_copy(update={"booking_id": terms.slot_id, "starts_at": terms.ends_at,
                                     "ends_at": terms.ends_at + HOUR})  # fmt: skip
    assert await bookings.records.reserve_slot(reserve(again))
    await bookings.records.record_checkout(checkout(again, customer_id="cus_other"))
    assert (await bookings.get(Student, terms.student_id)).stripe_customer_id == f"cus_{terms.student_id}"


async def test_an_authorized_payment_is_pending_and_its_checkout_no_longer_shown(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    row = await bookings.get(BookingRequest, terms.booking_id)
    assert row.checkout_url is None
    assert row.next_deadline_at == NOW + 24 * HOUR
    payment = await bookings.get(Payment, terms.booking_id)
    assert payment.status is PaymentStatus.PENDING
    assert (payment.amount_minor, payment.captured_minor, payment.returned_minor) == (10_000, 0, 0)
    assert (payment.payment_intent_id, payment.charge_id) == (f"pi_{terms.booking_id}", f"ch_{terms.booking_id}")
    assert payment.hold_ends_at == NOW + 7 * 24 * HOUR


async def test_an_accepted_booking_has_a_session_in_a_room_of_its_own(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    row = await bookings.get(BookingRequest, terms.booking_id)
    assert row.status is BookingStatus.ACCEPTED
    assert row.next_deadline_at == terms.ends_at + 24 * HOUR
    live_session = await bookings.get(LiveSession, terms.booking_id)
    assert live_session.status is SessionStatus.SCHEDULED
    assert live_session.total_price_minor == 10_000
    assert (live_session.platform_fee_minor, live_session.instructor_payout_minor) == (2_000, 8_000)
    assert len(live_session.room) >= 32
    assert live_session.room == live_session.room.lower()
    assert str(terms.booking_id) not in live_session.room


async def test_attention_is_called_for_and_cleared_as_often_as_it_takes(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    for hour, reason in enumerate(["settle: declined", None, "the hold is gone", None]):
        message = RecordAttention(
            booking_id=terms.booking_id,
            reason=reason,
            at=NOW + hour * HOUR,
            decision=None if reason else Retry(actor=OPERATOR),
        )
        await bookings.records.record_attention(message)
        row = await bookings.get(BookingRequest, terms.booking_id)
        assert (row.needs_attention, row.attention_reason) == (reason is not None, reason)
    told = [event for event in await bookings.audit(terms.booking_id) if "attention" in event.action]
    assert [event.action for event in told] == ["booking.needs_attention", "booking.attention_cleared"] * 2
    assert [event.actor_role for event in told] == [Role.PLATFORM, Role.OPERATOR] * 2
    assert told[0].detail == {"reason": "settle: declined"}


async def test_a_call_for_attention_is_heard_though_the_booking_request_is_gone(bookings: Bookings) -> None:
    terms = await bookings.terms()
    await bookings.records.record_attention(RecordAttention(booking_id=terms.booking_id, reason="release", at=NOW))
    assert [event.action for event in await bookings.audit(terms.booking_id)] == ["booking.needs_attention"]


async def test_an_extended_deadline_is_shown_and_audited_each_time(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    for hours in (30, 40):
        until = NOW + hours * HOUR
        message = RecordDeadline(
            booking_id=terms.booking_id, decision=Extend(actor=OPERATOR, until=until), deadline_at=until, at=NOW + HOUR
        )
        await bookings.records.record_deadline(message)
        assert (await bookings.get(BookingRequest, terms.booking_id)).next_deadline_at == until
    assert [event.action for event in await bookings.audit(terms.booking_id)].count("booking.extended") == 2


async def test_the_audit_trail_tells_who_did_what_when_and_through_which_door(bookings: Bookings) -> None:
    terms = await bookings.accepted()

    def told(event: AuditEvent) -> tuple[str, str, bool]:
        return event.action, event.channel, event.actor_id == terms.student_id

    assert [told(event) for event in await bookings.audit(terms.booking_id)] == [
        ("booking.checkout_opened", "workflow", False),
        ("booking.reserved", "api", True),
        ("booking.authorized", "workflow", True),
        ("booking.accepted", "api", False),
    ]
    accepted = (await bookings.audit(terms.booking_id))[-1]
    assert (accepted.actor_role, accepted.actor_id, accepted.at) == (
        Role.INSTRUCTOR,
        bookings.instructor_id,
        NOW + HOUR,
    )


async def test_every_step_carried_out_twice_is_carried_out_once(bookings: Bookings) -> None:
    terms = await bookings.terms()
    attention = RecordAttention(booking_id=terms.booking_id, reason="settle", at=NOW + HOUR)
    deadline = RecordDeadline(
        booking_id=terms.booking_id,
        decision=Extend(actor=OPERATOR, until=NOW + 30 * HOUR),
        deadline_at=NOW + 30 * HOUR,
        at=NOW + HOUR,
    )
    records = bookings.records
    steps: list[Callable[[], Awaitable[object]]] = [
        lambda: records.reserve_slot(reserve(terms)),
        lambda: records.record_checkout(checkout(terms)),
        lambda: records.record_authorization(authorization(terms)),
        lambda: records.record_acceptance(bookings.acceptance(terms)),
        lambda: records.record_attention(attention),
        lambda: records.record_deadline(deadline),
    ]
    for number, step in enumerate(steps):
        answer = await step()
        once = await bookings.everything()
        assert await step() == answer
        # An answer may be lost for as long as the workflow lives: earlier steps come again, too.
        for earlier in steps[:number]:
            await earlier()
        assert await bookings.everything() == once


@pytest.mark.parametrize("unrecorded", ["checkout", "authorization", "acceptance"])
async def test_what_is_not_there_cannot_go_on(bookings: Bookings, unrecorded: str) -> None:
    terms = await bookings.terms()
    steps = {
        "checkout": lambda: bookings.records.record_checkout(checkout(terms)),
        "authorization": lambda: bookings.records.record_authorization(authorization(terms)),
        "acceptance": lambda: bookings.records.record_acceptance(bookings.acceptance(terms)),
    }
    with pytest.raises(IllegalTransition, match="there is no booking request"):
        await steps[unrecorded]()
    assert await bookings.audit(terms.booking_id) == []


async def test_a_cancelled_booking_cannot_be_accepted_and_nothing_of_the_try_stays(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    ending = cancelled(terms, PLATFORM, NOW, accepted=False)
    await bookings.records.record_ending(ended(terms, ending, payment=None))
    before = await bookings.everything()
    with pytest.raises(IllegalTransition):
        await bookings.records.record_acceptance(bookings.acceptance(terms))
    assert await bookings.everything() == before
