"""What the catalogue takes and gives, as JSON."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator

from api.shapes import Given, Policy, Price
from models.money import BASIS_POINTS, Money
from models.policy import PRESETS, CancellationPolicy, CancellationTier

MOST_MINUTES = 24 * 60
_MOST_DIGITS = 12
"""Stripe takes no amount with more, in any currency (Stripe API, "Create a PaymentIntent", `amount`)."""
_MOST_TIERS = 10
_FURTHEST_TIER_SECONDS = 365 * 24 * 60 * 60

_KEEPABLE = r"^[^\x00]*$"
"""Any text but NUL, which Postgres cannot keep."""

Buffer = Annotated[int, Field(strict=True, ge=0, le=MOST_MINUTES)]


class Preset(StrEnum):
    FLEXIBLE = "flexible"
    MODERATE = "moderate"
    STRICT = "strict"


class NewTier(Given):
    before_seconds: Annotated[int, Field(strict=True, ge=0, le=_FURTHEST_TIER_SECONDS)]
    refund_bps: Annotated[int, Field(strict=True, ge=0, le=BASIS_POINTS)]


class CustomTiers(Given):
    """From the earliest to the latest; past the last one nothing goes back."""

    tiers: Annotated[list[NewTier], Field(max_length=_MOST_TIERS)]

    @model_validator(mode="after")
    def _make_a_policy(self) -> "CustomTiers":
        self.policy()
        return self

    def policy(self) -> CancellationPolicy:
        tiers = (
            CancellationTier(before=timedelta(seconds=tier.before_seconds), refund_bps=tier.refund_bps)
            for tier in self.tiers
        )
        return CancellationPolicy(name="custom", tiers=tuple(tiers))


class NewOffering(Given):
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_KEEPABLE)]
    description: Annotated[str, StringConstraints(strip_whitespace=True, max_length=5_000, pattern=_KEEPABLE)] = ""
    price: Money
    duration_minutes: Annotated[int, Field(strict=True, ge=1, le=MOST_MINUTES)]
    cancellation: Preset | CustomTiers = Preset.MODERATE
    buffer_before_minutes: Buffer = 0
    """Before and after a session, in which the instructor cannot be booked either."""
    buffer_after_minutes: Buffer = 0

    @model_validator(mode="after")
    def _price_is_not_endless(self) -> "NewOffering":
        if len(str(self.price.amount_minor)) > _MOST_DIGITS:
            raise ValueError(f"the price's amount can have {_MOST_DIGITS} digits at most")
        return self

    @property
    def cancellation_policy(self) -> CancellationPolicy:
        if isinstance(self.cancellation, Preset):
            return PRESETS[self.cancellation]
        return self.cancellation.policy()


class InstructorOfOffering(BaseModel):
    id: UUID
    name: str
    time_zone: str


class Offering(BaseModel):
    id: UUID
    instructor: InstructorOfOffering
    title: str
    description: str
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    price: Price
    policy: Policy
    """As they would be frozen on a booking made now."""
    created_at: datetime


class OfferingPage(BaseModel):
    data: list[Offering]
    next_cursor: str | None
    """`null` on the last page."""


class Slot(BaseModel):
    id: UUID
    offering_id: UUID
    starts_at: datetime
    ends_at: datetime
    is_free: bool
    """It has not begun, and no open booking of the instructor blocks it."""
    bookable_from: datetime | None
    """For a session too far ahead for a card's hold: when it comes into reach. `null`: it is."""


class SlotPage(BaseModel):
    data: list[Slot]
    next_cursor: str | None
    """`null` on the last page."""
