"""Checks whether an offer can be booked now, and builds the order that starts the workflow."""

from datetime import datetime, timedelta
from uuid import UUID

from api.bookings.queries import Blocker, Offer
from api.bookings.schemas import NewBooking
from api.http.problems import Kind, Problem
from api.pricing import ensure_chargeable
from models.domain.actors import Capability
from models.domain.messages import ReserveSlot
from models.domain.money import Money
from models.domain.payment_plans import bookable_from, plan_for
from models.domain.policy import BookingPolicy, CancellationPolicy, PaymentPlan, checkout_deadline
from models.domain.terms import BookingTerms
from models.settings import PolicySettings


def order(
    booking_id: UUID, student_id: UUID, new_booking: NewBooking, offer: Offer, settings: PolicySettings, now: datetime
) -> ReserveSlot:
    """The order, with today's price and policy frozen in it. Raises a `Problem` if the offer cannot be booked."""
    policy = settings.freeze(CancellationPolicy.model_validate(offer.offering.cancellation))
    if offer.slot.instructor_id == student_id:
        raise Problem(Kind.OWN_OFFERING, "Choose an offering of another instructor.")
    price = Money(amount_minor=offer.offering.price_minor, currency=offer.offering.currency)
    plan = _check(offer, policy, now)
    _check_expected(new_booking, price, policy)
    return ReserveSlot(
        terms=BookingTerms(
            booking_id=booking_id,
            student_id=student_id,
            instructor_id=offer.slot.instructor_id,
            offering_id=offer.offering.id,
            slot_id=offer.slot.id,
            starts_at=offer.slot.starts_at,
            ends_at=offer.slot.ends_at,
            price=ensure_chargeable(price),
            policy=policy,
            plan=plan,
            stripe_account_id=_account(offer),
            buffer_before_minutes=offer.offering.buffer_before_minutes,
            buffer_after_minutes=offer.offering.buffer_after_minutes,
            is_recorded=offer.offering.is_recorded,
        ),
        booked_at=now,
        checkout_deadline_at=checkout_deadline(policy.deadlines, now, offer.slot.starts_at),
        limits=settings.limits,
        allow_overlap=new_booking.allow_overlap,
    )


def _check(offer: Offer, policy: BookingPolicy, now: datetime) -> PaymentPlan:
    """The plan by which the offer can be paid."""
    slot = offer.slot
    if offer.blocker is Blocker.NO_ACCOUNT:
        raise Problem(Kind.NO_ACCOUNT)
    if offer.blocker is Blocker.NOT_VERIFIED:
        raise Problem(
            Kind.ADDRESS_NOT_VERIFIED,
            "Open the link in the email that we sent you, or request another with POST /v1/auth/verification.",
        )
    if not offer.is_bookable:
        raise Problem(
            Kind.OFFERING_WITHDRAWN, "The instructor no longer takes bookings for it. Choose another offering."
        )
    if slot.starts_at <= now:
        raise Problem(Kind.SLOT_IN_THE_PAST, f"It started at {slot.starts_at:%Y-%m-%dT%H:%M:%SZ}. Choose a later slot.")
    bookable_until = slot.starts_at - timedelta(minutes=offer.offering.min_notice_minutes)
    if bookable_until < now:
        raise Problem(
            Kind.NOTICE_TOO_SHORT,
            f"It could be booked until {bookable_until:%Y-%m-%dT%H:%M:%SZ}. Choose a later slot.",
            bookable_until=f"{bookable_until:%Y-%m-%dT%H:%M:%SZ}",
        )
    # Only an early check. Among concurrent requests, the exclusion constraint lets one through.
    if offer.blocker is Blocker.TAKEN:
        raise Problem(Kind.SLOT_TAKEN, "The instructor has another booking at that time. Choose another slot.")
    plan = plan_for(policy.deadlines, slot.ends_at, now)
    if plan is None:
        later = bookable_from(policy.deadlines, slot.ends_at, now) or now
        raise Problem(
            Kind.SESSION_TOO_FAR_AHEAD,
            f"A payment cannot be held that long. You can book it from {later:%Y-%m-%dT%H:%M:%SZ}.",
            bookable_from=f"{later:%Y-%m-%dT%H:%M:%SZ}",
        )
    return plan


def _check_expected(new_booking: NewBooking, price: Money, policy: BookingPolicy) -> None:
    """What was shown is what is booked."""
    expected = new_booking.expected_price
    if expected is not None and (expected.amount_minor, expected.currency) != (price.amount_minor, price.currency):
        raise Problem(
            Kind.PRICE_CHANGED,
            f"The price is now {price.format()}. Show it to the student, and send it as `expected_price`.",
            price=price.model_dump(),
        )
    if new_booking.expected_policy_version not in (None, policy.version):
        raise Problem(
            Kind.POLICY_CHANGED,
            "Read the offering again, show its policy to the student, and send its `version`.",
            policy_version=policy.version,
        )


def _account(offer: Offer) -> str:
    if offer.stripe_account_id is None:
        raise Problem(
            Kind.INSTRUCTOR_NOT_PAYABLE,
            "The instructor has not set up payouts yet. Choose another instructor, or try again later.",
        )
    if offer.transfers is not Capability.ACTIVE:
        raise Problem(
            Kind.INSTRUCTOR_NOT_PAYABLE,
            "Stripe does not allow payments to the instructor at the moment. Try again later.",
        )
    return offer.stripe_account_id
