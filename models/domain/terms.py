"""What a booking is about, frozen when it is made, and every way in which it can end."""

from datetime import datetime
from uuid import UUID

from models.domain.base import Value
from models.domain.money import Money
from models.domain.policy import BookingPolicy, PaymentPlan


class BookingTerms(Value):
    """Who booked what, when, at which price and by which rules. Ids only: nothing personal enters a history."""

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
    """The instructor's connected account, to which the share goes."""
    buffer_before_minutes: int = 0
    """Around the session, in which the instructor cannot be booked either. None in histories from before buffers."""
    buffer_after_minutes: int = 0
    is_recorded: bool = False
    """Whether the instructor may record the session. Not in histories from before recording."""
