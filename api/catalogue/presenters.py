"""From the catalogue's records to the public JSON."""

from datetime import datetime

from api import pricing
from api.catalogue.queries import OfferingRecord, SlotRecord
from api.catalogue.schemas import InstructorOfOffering, Offering, Slot
from models.domain.money import Money
from models.domain.payment_plans import bookable_from, plan_for
from models.domain.policy import BookingPolicy, CancellationPolicy, split
from models.settings import PolicySettings


def offering(record: OfferingRecord, settings: PolicySettings) -> Offering:
    """With the fee and the policy that a booking made now would get."""
    row, instructor = record.offering, record.instructor
    policy = settings.freeze(CancellationPolicy.model_validate(row.cancellation))
    price = Money(amount_minor=row.price_minor, currency=row.currency)
    return Offering(
        id=row.id,
        instructor=InstructorOfOffering(id=instructor.id, name=instructor.name, time_zone=instructor.time_zone),
        title=row.title,
        description=row.description,
        duration_minutes=row.duration_minutes,
        buffer_before_minutes=row.buffer_before_minutes,
        buffer_after_minutes=row.buffer_after_minutes,
        min_notice_minutes=row.min_notice_minutes,
        price=pricing.price(price, split(price, policy).platform_fee),
        policy=pricing.policy(policy),
        is_recorded=row.is_recorded,
        is_active=row.is_active and instructor.suspended_at is None,
        created_at=row.created_at,
    )


def slot(record: SlotRecord, settings: PolicySettings, now: datetime) -> Slot:
    row = record.slot
    # Any cancellation policy will do: it does not affect how long money is held.
    deadlines = settings.freeze(BookingPolicy().cancellation).deadlines
    return Slot(
        id=row.id,
        offering_id=row.offering_id,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        is_free=record.is_free,
        payment_plan=plan_for(deadlines, row.ends_at, now),
        bookable_from=bookable_from(deadlines, row.ends_at, now),
    )
