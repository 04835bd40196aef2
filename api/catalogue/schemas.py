"""The catalogue's JSON: requests and responses."""

from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator, with_config
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict

from api.http.schema_types import RequestDate, RequestModel, RequestTime, ResponseModel
from api.pricing import Policy, Price
from models.domain.money import BASIS_POINTS, Money
from models.domain.policy import PRESETS, CancellationPolicy, CancellationTier, PaymentPlan
from models.domain.recurrence import Weekday, Weekly, known_zone
from models.domain.visible_text import visible

MAX_MINUTES = 24 * 60
_MAX_NOTICE_MINUTES = 3 * 24 * 60
"""Time to prepare for a session. A longer one would leave few slots to book."""
_MAX_DIGITS = 12
"""Stripe's limit for an amount, in any currency (Stripe API, "Create a PaymentIntent", `amount`)."""
_MAX_TIERS = 10
_MAX_TIER_SECONDS = 365 * 24 * 60 * 60

_WITHOUT_NUL = r"^[^\x00]*$"
"""Postgres cannot store NUL in text."""
_SINGLE_LINE = r"^[^\x00-\x1f\x7f]*$"
"""Without line breaks and control characters, which a calendar file cannot contain (RFC 5545, section 3.1)."""

MAX_SLOTS = 100
"""In one request: about two years of a weekly session."""


def _known_zone(name: str) -> str:
    known_zone(name)
    return name


class RequestedPrice(Money):
    """A price in a request: strict, where `Money` in a message ignores unknown fields."""

    model_config = ConfigDict(extra="forbid")

    amount_minor: Annotated[int, Field(ge=0, lt=10**_MAX_DIGITS)]
    """In the currency's minor unit as Stripe defines it: cents for `usd`, whole yen for `jpy`."""


def _money(price: Money) -> Money:
    return Money(amount_minor=price.amount_minor, currency=price.currency)


Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_SINGLE_LINE),
    AfterValidator(visible),
]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=5_000, pattern=_WITHOUT_NUL)]
NewPrice = Annotated[RequestedPrice, AfterValidator(_money)]
Flag = Annotated[bool, Field(strict=True)]
Buffer = Annotated[int, Field(strict=True, ge=0, le=MAX_MINUTES)]
Notice = Annotated[int, Field(strict=True, ge=0, le=_MAX_NOTICE_MINUTES)]


class CancellationPreset(StrEnum):
    FLEXIBLE = "flexible"
    MODERATE = "moderate"
    STRICT = "strict"


class NewTier(RequestModel):
    before_seconds: Annotated[int, Field(strict=True, ge=0, le=_MAX_TIER_SECONDS)]
    """Applies to a cancellation at least this long before the start."""
    refund_bps: Annotated[int, Field(strict=True, ge=0, le=BASIS_POINTS)]
    """The share of the price that is refunded, in basis points."""


class CustomTiers(RequestModel):
    """In descending order of `before_seconds`. After the last tier, nothing is refunded."""

    tiers: Annotated[list[NewTier], Field(max_length=_MAX_TIERS)]
    """Earliest first, with falling refunds."""

    @model_validator(mode="after")
    def _is_valid_policy(self) -> "CustomTiers":
        self.policy()
        return self

    def policy(self) -> CancellationPolicy:
        tiers = (
            CancellationTier(before=timedelta(seconds=tier.before_seconds), refund_bps=tier.refund_bps)
            for tier in self.tiers
        )
        return CancellationPolicy(name="custom", tiers=tuple(tiers))


def policy_of(cancellation: CancellationPreset | CustomTiers) -> CancellationPolicy:
    return PRESETS[cancellation] if isinstance(cancellation, CancellationPreset) else cancellation.policy()


class NewOffering(RequestModel):
    title: Title
    """Shown in the catalogue and on receipts."""
    description: Description = ""
    """Shown in the catalogue."""
    price: NewPrice
    """What a student pays in total."""
    duration_minutes: Annotated[int, Field(strict=True, ge=1, le=MAX_MINUTES)]
    """The session's length."""
    cancellation: CancellationPreset | CustomTiers = CancellationPreset.MODERATE
    """A preset, or tiers of your own."""
    buffer_before_minutes: Buffer = 0
    """Time before a session in which the instructor cannot be booked. The buffers of two adjacent sessions add up."""
    buffer_after_minutes: Buffer = 0
    """The same, after a session."""
    min_notice_minutes: Notice = 60
    """How long before its start a slot must be booked; 0 for no notice."""
    is_recorded: Flag = False
    """Whether the instructor may record the session. Both parties are informed in advance."""


@with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True))
class OfferingChange(TypedDict, total=False):
    """Fields that are not sent stay unchanged. The duration cannot be changed: existing slots depend on it."""

    title: Title
    """Shown in the catalogue and on receipts."""
    description: Description
    """Shown in the catalogue."""
    price: NewPrice
    """What a student pays in total."""
    cancellation: CancellationPreset | CustomTiers
    """A preset, or tiers of your own."""
    buffer_before_minutes: Buffer
    """Time before a session in which the instructor cannot be booked."""
    buffer_after_minutes: Buffer
    """The same, after a session."""
    min_notice_minutes: Notice
    """How long before its start a slot must be booked; 0 for no notice."""
    is_recorded: Flag
    """Whether the instructor may record the session."""
    is_active: Flag
    """`false` withdraws the offering: existing bookings continue, new ones are refused. `true` reopens it."""


class InstructorOfOffering(ResponseModel):
    id: UUID
    """The instructor's id."""
    name: str
    """The display name."""
    time_zone: str
    """An IANA time zone, such as `Europe/Berlin`."""


class Offering(ResponseModel):
    id: UUID
    """The offering's id."""
    instructor: InstructorOfOffering
    """Whose offering it is."""
    title: str
    """What is offered."""
    description: str
    """More about it, in plain text."""
    duration_minutes: int
    """The session's length."""
    buffer_before_minutes: int
    """Time before a session in which the instructor cannot be booked."""
    buffer_after_minutes: int
    """The same, after a session."""
    min_notice_minutes: int
    """How long before its start a slot must be booked."""
    price: Price
    """The price of a booking made now."""
    policy: Policy
    """Price and policy as they would be frozen on a booking made now."""
    is_recorded: bool
    """Whether the instructor may record the session."""
    is_active: bool
    """`false` if its instructor has withdrawn it: it is not listed, and none of its slots is free."""
    created_at: datetime
    """When it was created."""


class OfferingPage(ResponseModel):
    data: list[Offering]
    """The items of this page."""
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""


class Slot(ResponseModel):
    id: UUID
    """The slot's id."""
    offering_id: UUID
    """The offering."""
    starts_at: datetime
    """When it starts."""
    ends_at: datetime
    """When it ends."""
    is_free: bool
    """It is not too late to book the slot, its offering is active, and no open booking of the instructor blocks it."""
    payment_plan: PaymentPlan | None
    """How a booking made now is paid. `HOLD`: the payment method is authorized, and charged after the session.
    `CHARGE_THEN_TRANSFER`: it is charged now, and the instructor is paid after the session. `null`: it is too early."""
    bookable_from: datetime | None
    """When the slot becomes bookable, if it is too far ahead now; otherwise `null`."""


class SlotPage(ResponseModel):
    data: list[Slot]
    """The items of this page."""
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""


def _either(one: str, other: str) -> dict[str, Any]:
    """JSON Schema for exactly one of two members. Generators build a union from `oneOf`, and ignore this."""
    return {"if": {"required": [one]}, "then": {"not": {"required": [other]}}, "else": {"required": [other]}}


def _check_either(model: RequestModel, one: str, other: str) -> None:
    """Raises `ValueError` unless one of the two was sent, and is not null."""
    sent = model.model_fields_set & {one, other}
    if len(sent) != 1 or getattr(model, *sent) is None:
        raise ValueError(f"give either {one} or {other}")


class WeeklySlots(RequestModel):
    """The same weekday and wall-clock time every week, either `until` a last day or `count` times."""

    model_config = ConfigDict(json_schema_extra=_either("until", "count"))

    weekday: Weekday
    """The day of the week."""
    time: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    """Wall-clock time, e.g. `18:30`."""
    time_zone: Annotated[str, StringConstraints(max_length=64), AfterValidator(_known_zone)] | None = None
    """The instructor's time zone if omitted."""
    from_: Annotated[RequestDate, Field(alias="from")]
    """The first day on which a slot may start."""
    until: RequestDate | SkipJsonSchema[None] = None
    """The last day on which a slot may start."""
    count: Annotated[int, Field(strict=True, ge=1, le=MAX_SLOTS)] | SkipJsonSchema[None] = None
    """How many slots, instead of `until`."""
    without: Annotated[list[RequestDate], Field(max_length=MAX_SLOTS)] = Field(default_factory=list)
    """Days that are left out, such as holidays. They count towards `count`."""

    @model_validator(mode="after")
    def _until_or_count(self) -> "WeeklySlots":
        _check_either(self, "until", "count")
        return self

    def rule(self, default_zone: str) -> Weekly:
        return Weekly(
            weekday=self.weekday,
            at=time.fromisoformat(self.time),
            zone=self.time_zone or default_zone,
            first=self.from_,
            last=self.until,
            count=self.count,
            without=frozenset(self.without),
        )


def _whole_minute(time: datetime) -> datetime:
    if time.second or time.microsecond:
        raise ValueError("must be a whole minute")
    return time


class NewSlots(RequestModel):
    """Either a single slot or a weekly series."""

    model_config = ConfigDict(json_schema_extra=_either("starts_at", "weekly"))

    starts_at: Annotated[RequestTime, AfterValidator(_whole_minute)] | SkipJsonSchema[None] = None
    """A whole minute."""
    weekly: WeeklySlots | SkipJsonSchema[None] = None
    """A series of slots at the same local time."""

    @model_validator(mode="after")
    def _single_or_weekly(self) -> "NewSlots":
        _check_either(self, "starts_at", "weekly")
        return self


class SlotsCreated(ResponseModel):
    data: list[Slot]
    """All requested slots, earliest first, including those that existed already."""


class SlotsWithdrawn(ResponseModel):
    withdrawn: int
    """Number of slots withdrawn."""
    booked: int
    """Number of slots kept because they are booked or being paid for."""
