"""Checks whether an offer can be booked now, and builds the order that starts the workflow."""

from datetime import datetime
from uuid import UUID

from api.bookings.queries import Blocker, Offer
from api.http.problems import Kind, Problem
from api.pricing import bookable_from, ensure_chargeable
from models.domain.actors import Capability
from models.domain.messages import ReserveSlot
from models.domain.money import Money
from models.domain.policy import BookingPolicy, CancellationPolicy, PaymentPlan, checkout_deadline
from models.domain.terms import BookingTerms
from models.settings import PolicySettings


def order(
    booking_id: UUID, student_id: UUID, offer: Offer | None, settings: PolicySettings, now: datetime
) -> ReserveSlot:
    """The order, with today's price and policy frozen in it. Raises a `Problem` if the offer cannot be booked."""
    if offer is None:
        raise Problem(Kind.NOT_FOUND, "There is no such slot.")
    policy = settings.freeze(CancellationPolicy.model_validate(offer.offering.cancellation))
    _check(offer, policy, now)
    return ReserveSlot(
        terms=BookingTerms(
            booking_id=booking_id,
            student_id=student_id,
            instructor_id=offer.slot.instructor_id,
            offering_id=offer.offering.id,
            slot_id=offer.slot.id,
            starts_at=offer.slot.starts_at,
            ends_at=offer.slot.ends_at,
            price=ensure_chargeable(Money(amount_minor=offer.offering.price_minor, currency=offer.offering.currency)),
            policy=policy,
            plan=PaymentPlan.HOLD,
            stripe_account_id=_account(offer),
            buffer_before_minutes=offer.offering.buffer_before_minutes,
            buffer_after_minutes=offer.offering.buffer_after_minutes,
            is_recorded=offer.offering.is_recorded,
        ),
        booked_at=now,
        checkout_deadline_at=checkout_deadline(policy.deadlines, now, offer.slot.starts_at),
    )


def _check(offer: Offer, policy: BookingPolicy, now: datetime) -> None:
    slot = offer.slot
    if offer.blocker is Blocker.NO_ACCOUNT:
        raise Problem(Kind.NO_ACCOUNT)
    if not offer.is_bookable:
        raise Problem(Kind.OFFERING_WITHDRAWN, "Its instructor takes no more bookings for it.")
    if slot.starts_at <= now:
        raise Problem(Kind.SLOT_IN_THE_PAST, f"It began at {slot.starts_at:%Y-%m-%dT%H:%M:%SZ}.")
    # Only an early check. Among concurrent requests, the exclusion constraint lets one through.
    if offer.blocker is Blocker.TAKEN:
        raise Problem(Kind.SLOT_TAKEN, "Another booking of this instructor overlaps it.")
    if later := bookable_from(slot, policy, now):
        raise Problem(
            Kind.SESSION_TOO_FAR_AHEAD,
            f"A card's hold does not last until then. It can be booked from {later:%Y-%m-%dT%H:%M:%SZ} on.",
            bookable_from=f"{later:%Y-%m-%dT%H:%M:%SZ}",
        )


def _account(offer: Offer) -> str:
    if offer.stripe_account_id is None:
        raise Problem(Kind.INSTRUCTOR_NOT_PAYABLE, "They have not connected an account for payouts.")
    if offer.transfers is not Capability.ACTIVE:
        raise Problem(Kind.INSTRUCTOR_NOT_PAYABLE, "Stripe does not allow payments to their account at the moment.")
    return offer.stripe_account_id
