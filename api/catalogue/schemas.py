"""What the catalogue takes and gives, as JSON."""

from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator, with_config
from typing_extensions import TypedDict

from api.http.schema_types import RequestDate, RequestModel, RequestTime, ResponseModel
from api.pricing import Policy, Price
from models.domain.money import BASIS_POINTS, Money
from models.domain.policy import PRESETS, CancellationPolicy, CancellationTier
from models.domain.recurrence import Weekday, Weekly, known_zone

MOST_MINUTES = 24 * 60
_MOST_DIGITS = 12
"""Stripe takes no amount with more, in any currency (Stripe API, "Create a PaymentIntent", `amount`)."""
_MOST_TIERS = 10
_FURTHEST_TIER_SECONDS = 365 * 24 * 60 * 60

_KEEPABLE = r"^[^\x00]*$"
"""Any text but NUL, which Postgres cannot keep."""
_ON_A_LINE = r"^[^\x00-\x1f\x7f]*$"
"""Without line breaks and control characters, which no calendar file can hold (RFC 5545, 3.1)."""

MOST_SLOTS = 100
"""At a time: about two years of a weekly lesson."""


def _is_zone(name: str) -> str:
    known_zone(name)
    return name


class RequestedPrice(Money):
    """A price in a request: strict, where `Money` in a message ignores unknown fields."""

    model_config = ConfigDict(extra="forbid")


def _has_not_too_many_digits(price: Money) -> Money:
    if len(str(price.amount_minor)) > _MOST_DIGITS:
        raise ValueError(f"the amount can have {_MOST_DIGITS} digits at most")
    return Money(amount_minor=price.amount_minor, currency=price.currency)


Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_ON_A_LINE)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=5_000, pattern=_KEEPABLE)]
Asked = Annotated[RequestedPrice, AfterValidator(_has_not_too_many_digits)]
Flag = Annotated[bool, Field(strict=True)]
Buffer = Annotated[int, Field(strict=True, ge=0, le=MOST_MINUTES)]


class Preset(StrEnum):
    FLEXIBLE = "flexible"
    MODERATE = "moderate"
    STRICT = "strict"


class NewTier(RequestModel):
    before_seconds: Annotated[int, Field(strict=True, ge=0, le=_FURTHEST_TIER_SECONDS)]
    refund_bps: Annotated[int, Field(strict=True, ge=0, le=BASIS_POINTS)]


class CustomTiers(RequestModel):
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


def policy_of(cancellation: Preset | CustomTiers) -> CancellationPolicy:
    return PRESETS[cancellation] if isinstance(cancellation, Preset) else cancellation.policy()


class NewOffering(RequestModel):
    title: Title
    description: Description = ""
    price: Asked
    duration_minutes: Annotated[int, Field(strict=True, ge=1, le=MOST_MINUTES)]
    cancellation: Preset | CustomTiers = Preset.MODERATE
    buffer_before_minutes: Buffer = 0
    """Before and after a session, in which the instructor cannot be booked either."""
    buffer_after_minutes: Buffer = 0
    is_recorded: Flag = False
    """Whether the instructor may record the session. Both sides are told before."""


@with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True))
class OfferingChange(TypedDict, total=False):
    """What is not in it stays as it is. Not the duration: the slots that there are have theirs."""

    title: Title
    description: Description
    price: Asked
    cancellation: Preset | CustomTiers
    buffer_before_minutes: Buffer
    buffer_after_minutes: Buffer
    is_recorded: Flag
    is_active: Flag
    """`false` withdraws the offering: bookings go on, and there are no new ones. `true` opens it again."""


class InstructorOfOffering(ResponseModel):
    id: UUID
    name: str
    time_zone: str


class Offering(ResponseModel):
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
    is_recorded: bool
    """Whether the instructor may record the session."""
    is_active: bool
    """`false`: its instructor has withdrawn it. It is not listed, and none of its slots is free."""
    created_at: datetime


class OfferingPage(ResponseModel):
    data: list[Offering]
    next_cursor: str | None
    """`cursor` of the next page; `null` on the last one."""


class Slot(ResponseModel):
    id: UUID
    offering_id: UUID
    starts_at: datetime
    ends_at: datetime
    is_free: bool
    """It has not begun, its offering is active, and no open booking of the instructor blocks it."""
    bookable_from: datetime | None
    """For a session too far ahead for a card's hold: when it comes into reach. `null`: it is."""


class SlotPage(ResponseModel):
    data: list[Slot]
    next_cursor: str | None
    """`cursor` of the next page; `null` on the last one."""


class WeeklySlots(RequestModel):
    """The same weekday and wall-clock time every week: `until` a last day, or `count` times."""

    weekday: Weekday
    time: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    """Wall-clock time, e.g. `18:30`."""
    time_zone: Annotated[str, StringConstraints(max_length=64), AfterValidator(_is_zone)] | None = None
    """The instructor's own if not given."""
    from_: Annotated[RequestDate, Field(alias="from")]
    until: RequestDate | None = None
    count: Annotated[int, Field(strict=True, ge=1, le=MOST_SLOTS)] | None = None

    @model_validator(mode="after")
    def _ends(self) -> "WeeklySlots":
        if (self.until is None) == (self.count is None):
            raise ValueError("give either until or count")
        return self

    def rule(self, instructors_zone: str) -> Weekly:
        return Weekly(
            weekday=self.weekday,
            at=time.fromisoformat(self.time),
            zone=self.time_zone or instructors_zone,
            first=self.from_,
            last=self.until,
            count=self.count,
        )


class NewSlots(RequestModel):
    """A single slot, or one every week."""

    starts_at: RequestTime | None = None
    weekly: WeeklySlots | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> "NewSlots":
        if (self.starts_at is None) == (self.weekly is None):
            raise ValueError("give either starts_at or weekly")
        return self


class SlotsCreated(ResponseModel):
    data: list[Slot]
    """All that were asked for, the earliest first, whether they are new or were there before."""


class SlotsWithdrawn(ResponseModel):
    withdrawn: int
    """How many are not offered any more."""
    booked: int
    """How many stay, since somebody has booked them, or is paying."""
