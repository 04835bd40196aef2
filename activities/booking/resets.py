"""Reads where a booking stands, for a workflow that was reset, or that finds its booking ended already."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import audit
from models.domain import policy
from models.domain.actors import Actor
from models.domain.decisions import Stage
from models.domain.endings import Ending
from models.domain.messages import BookingView
from models.domain.money import Money
from models.domain.payment_plans import expected_end
from models.domain.payments import Checkout, HoldPhase, PaymentState
from models.domain.policy import BookingPolicy
from models.domain.renewals import Renewal, page_ends
from models.domain.resets import RecordedBooking
from models.domain.states import HOLDS_SLOT, BookingStatus, while_open
from models.domain.terms import BookingTerms
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.payments import Payment, PaymentRenewal
from models.tables.people import Student
from models.tables.session_reports import SessionReport

_REPORTS = ("booking.completion_reported", "booking.no_show_reported")
_ANSWERS = ("booking.completion_objected", "booking.no_show_contested")
_ENDINGS = ("booking.deleted", *(f"booking.{status.lower()}" for status in BookingStatus if status not in HOLDS_SLOT))


async def load(session: AsyncSession, terms: BookingTerms) -> RecordedBooking:
    """A booking whose slot was never reserved is closed: a reset must not reserve one."""
    booking = await session.get(BookingRequest, terms.booking_id)
    payment = await session.get(Payment, terms.booking_id)
    by_booking = select(AuditEvent).where(col(AuditEvent.booking_id) == terms.booking_id)
    events = list(await session.exec(by_booking.order_by(col(AuditEvent.seq))))
    ended = _last(events, *_ENDINGS)
    live_session = await session.get(LiveSession, terms.booking_id)
    attention = _attention(booking, events)
    view = BookingView(
        booking_status=booking.status if booking else None,
        session_status=live_session.status if live_session else None,
        payment_status=payment.status if payment else None,
        needs_attention="parked_because" in attention,
        end_reason=ended.detail["reason"] if ended else None,
    )
    if booking is None or booking.status not in HOLDS_SLOT:
        return RecordedBooking(stage=Stage.CLOSED, view=view, terms=terms, ended_by=_actor(ended))
    recorded = RecordedBooking(
        stage=_stage(booking, payment),
        view=view.model_copy(update={"payment_status": while_open(view.payment_status)}),
        terms=terms.model_copy(
            update={
                "slot_id": booking.slot_id,
                "starts_at": booking.starts_at,
                "ends_at": booking.ends_at,
                "plan": booking.plan,
            }
        ),
        deadline=booking.next_deadline_at,
        checkout=await _checkout(session, booking, terms),
    )
    return recorded.model_copy(
        update={
            **_authorization(booking, payment),
            **await _renewal(session, booking),
            **await _report(session, booking, events),
            **attention,
        }
    )


def is_open(booking: BookingRequest | None) -> bool:
    return booking is not None and booking.status in HOLDS_SLOT


def _stage(booking: BookingRequest, payment: Payment | None) -> Stage:
    if booking.status is BookingStatus.ACCEPTED:
        return Stage.SESSION
    return Stage.APPROVAL if payment else Stage.CHECKOUT


async def _checkout(session: AsyncSession, booking: BookingRequest, terms: BookingTerms) -> Checkout | None:
    if booking.checkout_session_id is None:
        return None
    student = await session.get_one(Student, booking.student_id)
    deadline = policy.checkout_deadline(terms.policy.deadlines, booking.created_at, terms.starts_at)
    return Checkout(
        checkout_session_id=booking.checkout_session_id,
        customer_id=student.stripe_customer_id or "",
        expires_at=policy.checkout_page_ends(booking.created_at, deadline),
    )


def _authorization(booking: BookingRequest, payment: Payment | None) -> dict[str, object]:
    if payment is None:
        return {}
    held = PaymentState(
        phase=HoldPhase.HELD,
        checkout_session_id=booking.checkout_session_id,
        payment_intent_id=payment.payment_intent_id,
        charge_id=payment.charge_id,
        hold_ends_at=payment.hold_ends_at,
    )
    return {
        "payment": held,
        "hold_ends_at": payment.hold_ends_at
        or expected_end(payment.plan, BookingPolicy.model_validate(booking.policy).deadlines, payment.created_at),
        "is_lapsed": payment.lapsed_at is not None,
    }


async def _renewal(session: AsyncSession, booking: BookingRequest) -> dict[str, object]:
    row = await session.get(PaymentRenewal, booking.id)
    if row is None:
        return {}
    renewal = Renewal(
        reason=row.reason,
        amount=Money(amount_minor=row.amount_minor, currency=row.currency),
        pay_by=row.pay_by,
        is_final=row.is_final,
        page=row.page,
        checkout_session_id=row.checkout_session_id,
        page_ends_at=page_ends(row.requested_at, row.pay_by) if row.checkout_session_id else None,
    )
    return {"renewal": None if row.closed_at else renewal, "renewal_pages": row.page}


async def _report(session: AsyncSession, booking: BookingRequest, events: list[AuditEvent]) -> dict[str, object]:
    report = await session.get(SessionReport, booking.id)
    if report is None:
        return {}
    answer = _last(events, *_ANSWERS) if report.answered_at else None
    return {
        "reported_by": _actor(_last(events, *_REPORTS)),
        "reported_absent": report.absent,
        "answered_by": _actor(answer),
    }


def _attention(booking: BookingRequest | None, events: list[AuditEvent]) -> dict[str, object]:
    """The booking is parked if it needs attention because of its own step, and not of a drift, say."""
    failed = [event for event in events if audit.FAILED_ROUND in event.detail]
    if booking is None or not failed:
        return {}
    last = failed[-1]
    resolved = [event for event in events[events.index(last) :] if event.action == "booking.attention_cleared"]
    is_parked = booking.attention_reason == last.detail["reason"]
    ending = next((event.detail["ending"] for event in (*reversed(resolved), last) if "ending" in event.detail), None)
    attention: dict[str, object] = {
        "operator_round": last.detail[audit.FAILED_ROUND] + (0 if is_parked else 1),
        "carried_out": tuple(id for event in events if (id := event.detail.get(audit.RESOLVED_BY))),
        "parked_ending": Ending.model_validate(ending) if ending else None,
    }
    return attention | ({"parked_because": booking.attention_reason} if is_parked else {})


def _last(events: list[AuditEvent], *actions: str) -> AuditEvent | None:
    return next((event for event in reversed(events) if event.action in actions), None)


def _actor(event: AuditEvent | None) -> Actor | None:
    return Actor(role=event.actor_role, id=event.actor_id, token_id=event.token_id) if event else None
