"""The saga's records, from the reservation to the session."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import PLATFORM, Actor, Role
from models.domain.endings import cancelled
from models.domain.messages import Extend, RecordAttention, RecordDeadline, Retry
from models.domain.resets import LoadBooking
from models.domain.states import BookingStatus, IllegalTransition, PaymentStatus, SessionStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.payments import Payment
from models.tables.people import Student
from tests.activities.bookings import HOUR, NOW, Bookings, authorization, checkout, ended, reserve

OPERATOR = Actor(role=Role.OPERATOR)


async def test_reserved_slot_is_a_pending_booking_with_frozen_price_fee_and_policy(bookings: Bookings) -> None:
    terms = await bookings.terms()
    assert await bookings.records.reserve_slot(reserve(terms))
    row = await bookings.get(BookingRequest, terms.booking_id)
    assert row.status is BookingStatus.PENDING
    assert (row.price_minor, row.platform_fee_minor, row.currency) == (10_000, 2_000, "usd")
    assert type(terms.policy).model_validate(row.policy) == terms.policy
    assert row.next_deadline_at == NOW + HOUR / 2
    assert (row.starts_at, row.ends_at) == (terms.starts_at, terms.ends_at)


async def test_checkout_is_recorded_with_the_students_customer(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    row = await bookings.get(BookingRequest, terms.booking_id)
    assert row.checkout_session_id == f"cs_{terms.booking_id}"
    assert (await bookings.get(Student, terms.student_id)).stripe_customer_id == f"cus_{terms.student_id}"


async def test_student_keeps_their_existing_customer(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    again = terms.model_copy(update={"booking_id": terms.slot_id, "starts_at": terms.ends_at,
                                     "ends_at": terms.ends_at + HOUR})  # fmt: skip
    assert await bookings.records.reserve_slot(reserve(again))
    await bookings.records.record_checkout(checkout(again, customer_id="cus_other"))
    assert (await bookings.get(Student, terms.student_id)).stripe_customer_id == f"cus_{terms.student_id}"


async def test_authorized_payment_is_pending_and_the_checkout_url_is_cleared(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    row = await bookings.get(BookingRequest, terms.booking_id)
    assert row.checkout_url is None
    assert row.next_deadline_at == NOW + 24 * HOUR
    payment = await bookings.get(Payment, terms.booking_id)
    assert payment.status is PaymentStatus.PENDING
    assert (payment.amount_minor, payment.captured_minor, payment.returned_minor) == (10_000, 0, 0)
    assert (payment.payment_intent_id, payment.charge_id) == (f"pi_{terms.booking_id}", f"ch_{terms.booking_id}")
    assert payment.hold_ends_at == NOW + 7 * 24 * HOUR


async def test_accepted_booking_has_a_session_with_a_random_room(bookings: Bookings) -> None:
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


async def test_attention_can_be_set_and_cleared_repeatedly(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    for hour, reason in enumerate(["settle: declined", None, "the hold is gone", None]):
        message = RecordAttention(
            booking_id=terms.booking_id,
            reason=reason,
            at=NOW + hour * HOUR,
            decision=None if reason else Retry(actor=OPERATOR),
            operator_round=(hour + 1) // 2,
            update_id=None if reason else f"retry {hour}",
        )
        await bookings.records.record_attention(message)
        row = await bookings.get(BookingRequest, terms.booking_id)
        assert (row.needs_attention, row.attention_reason) == (reason is not None, reason)
    changes = [event for event in await bookings.audit(terms.booking_id) if "attention" in event.action]
    assert [event.action for event in changes] == ["booking.needs_attention", "booking.attention_cleared"] * 2
    assert [event.actor_role for event in changes] == [Role.PLATFORM, Role.OPERATOR] * 2
    assert [event.detail for event in changes[:2]] == [
        {"reason": "settle: declined", "operator_round": 0},
        {"update_id": "retry 1"},
    ]


async def test_charge_that_is_disputed_before_the_end_is_held_for_a_workflow_that_was_reset(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    async with AsyncSession(bookings.engine) as session, session.begin():
        (await session.get_one(Payment, terms.booking_id)).status = PaymentStatus.DISPUTED
    recorded = await bookings.records.load_recorded_booking(LoadBooking(terms=terms))
    assert recorded.view.payment_status is PaymentStatus.PENDING


async def test_decision_that_a_reset_plays_again_does_not_clear_the_attention(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    for hour, (reason, failed_round) in enumerate([("settle: declined", 0), (None, 1), ("settle: declined", 1)]):
        message = RecordAttention(
            booking_id=terms.booking_id, reason=reason, at=NOW + hour * HOUR, operator_round=failed_round, update_id="a"
        )
        await bookings.records.record_attention(message)
    again = RecordAttention(
        booking_id=terms.booking_id, reason=None, at=NOW + 9 * HOUR, operator_round=1, update_id="a"
    )
    await bookings.records.record_attention(again)
    assert (await bookings.get(BookingRequest, terms.booking_id)).needs_attention
    recorded = await bookings.records.load_recorded_booking(LoadBooking(terms=terms))
    assert (recorded.parked_because, recorded.operator_round) == ("settle: declined", 1)
    assert recorded.carried_out == ("a",)


async def test_only_a_failed_step_parks_a_booking_that_is_loaded(bookings: Bookings, engine: AsyncEngine) -> None:
    terms = await bookings.accepted()
    async with AsyncSession(engine) as session, session.begin():
        booking = await session.get_one(BookingRequest, terms.booking_id)
        booking.needs_attention, booking.attention_reason = True, "reconciliation: a drift"
    recorded = await bookings.records.load_recorded_booking(LoadBooking(terms=terms))
    assert (recorded.parked_because, recorded.operator_round, recorded.view.needs_attention) == (None, 0, False)


async def test_attention_is_audited_without_a_booking_request(bookings: Bookings) -> None:
    terms = await bookings.terms()
    await bookings.records.record_attention(RecordAttention(booking_id=terms.booking_id, reason="release", at=NOW))
    assert [event.action for event in await bookings.audit(terms.booking_id)] == ["booking.needs_attention"]


async def test_each_extension_updates_the_deadline_and_is_audited(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    for hours in (30, 40):
        until = NOW + hours * HOUR
        message = RecordDeadline(
            booking_id=terms.booking_id, decision=Extend(actor=OPERATOR, until=until), deadline_at=until, at=NOW + HOUR
        )
        await bookings.records.record_deadline(message)
        assert (await bookings.get(BookingRequest, terms.booking_id)).next_deadline_at == until
    assert [event.action for event in await bookings.audit(terms.booking_id)].count("booking.extended") == 2


async def test_audit_trail_has_actor_action_time_and_channel(bookings: Bookings) -> None:
    terms = await bookings.accepted()

    def summary(event: AuditEvent) -> tuple[str, str, bool]:
        return event.action, event.channel, event.actor_id == terms.student_id

    assert [summary(event) for event in await bookings.audit(terms.booking_id)] == [
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


async def test_repeating_a_step_changes_nothing(bookings: Bookings) -> None:
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
        result = await step()
        once = await bookings.everything()
        assert await step() == result
        # A reset workflow repeats earlier steps too.
        for earlier in steps[:number]:
            await earlier()
        assert await bookings.everything() == once


@pytest.mark.parametrize("unrecorded", ["checkout", "authorization", "acceptance"])
async def test_step_without_a_booking_request_is_rejected(bookings: Bookings, unrecorded: str) -> None:
    terms = await bookings.terms()
    steps = {
        "checkout": lambda: bookings.records.record_checkout(checkout(terms)),
        "authorization": lambda: bookings.records.record_authorization(authorization(terms)),
        "acceptance": lambda: bookings.records.record_acceptance(bookings.acceptance(terms)),
    }
    with pytest.raises(IllegalTransition, match="there is no open booking request"):
        await steps[unrecorded]()
    assert await bookings.audit(terms.booking_id) == []


async def test_cancelled_booking_cannot_be_accepted_and_the_attempt_is_rolled_back(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    ending = cancelled(terms, PLATFORM, NOW, accepted=False)
    await bookings.records.record_ending(ended(terms, ending, payment=None))
    before = await bookings.everything()
    with pytest.raises(IllegalTransition):
        await bookings.records.record_acceptance(bookings.acceptance(terms))
    assert await bookings.everything() == before
