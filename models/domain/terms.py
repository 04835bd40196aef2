"""What a booking is about, frozen when it is made."""

from datetime import datetime
from uuid import UUID

from models.domain.base import Value
from models.domain.money import Money
from models.domain.policy import BookingPolicy, PaymentPlan


class BookingTerms(Value):
    """Who booked what, when, at which price and under which policy. Ids only: nothing personal enters a history."""

    booking_id: UUID
    student_id: UUID
    instructor_id: UUID
    offering_id: UUID
    slot_id: UUID
    starts_at: datetime
    ends_at: datetime
    price: Money
    policy: BookingPolicy
    plan: PaymentPlan
    stripe_account_id: str
    """The instructor's connected account, which receives the share."""
    buffer_before_minutes: int = 0
    """Time around the session in which the instructor cannot be booked. Zero in histories from before buffers."""
    buffer_after_minutes: int = 0
    is_recorded: bool = False
    """Whether the instructor may record the session. False in histories from before recording."""
