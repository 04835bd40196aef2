"""What the API takes and gives, as JSON. Names and fields are the contract's; times are RFC 3339 in UTC."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from models.money import Currency, Money
from models.policy import OnSilence
from models.states import BookingStatus, PaymentStatus, SessionStatus
from models.terms import Absent, EndReason, Role


class Given(BaseModel):
    """A request's body: nothing in it that we do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def as_text(value: object) -> object:
    """Pydantic would also take a number, as seconds of some age or other."""
    if not isinstance(value, str):
        raise ValueError("a time is written as RFC 3339 has it")
    return value


AskedTime = Annotated[AwareDatetime, BeforeValidator(as_text)]


class NewBooking(Given):
    slot_id: UUID


class Rejection(Given):
    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000, pattern=r"^[^\x00]*$")
    ]
    """For the student to read. Any text but NUL, which Postgres cannot keep."""


class NoShow(Given):
    absent: Absent


class RefundOrder(Given):
    amount_minor: Annotated[int, Field(strict=True, ge=1, lt=2**63)]
    """In minor units of the booking's currency."""


class Extension(Given):
    until: AskedTime


class Price(BaseModel):
    total: Money
    platform_fee: Money
    """Part of the total: what the platform keeps if the session takes place."""
    instructor_payout: Money
    currency: Currency


class RefundTier(BaseModel):
    before_seconds: int
    """A student who cancels at least this long before the start gets `refund_bps` of the price back."""
    refund_bps: int


class Cancellation(BaseModel):
    name: str
    tiers: list[RefundTier]
    """From the earliest to the latest; past the last one nothing goes back."""


class NoShowTerms(BaseModel):
    student_absent_refund_bps: int
    instructor_absent_refund_bps: int


class Windows(BaseModel):
    """How long each side has, in seconds."""

    pay_within_seconds: int
    pay_again_within_seconds: int
    """After a declined card."""
    decide_within_seconds: int
    report_within_seconds: int
    """After the session's end."""


class Policy(BaseModel):
    platform_fee_bps: int
    cancellation: Cancellation
    no_show: NoShowTerms
    on_silence: OnSilence
    deadlines: Windows


class BookingCreated(BaseModel):
    id: UUID
    status: BookingStatus
    checkout_url: str | None
    """Where to pay; `null` once that is no longer possible."""
    expires_at: datetime | None
    """Until when to pay."""
    price: Price
    policy: Policy


class Session(BaseModel):
    status: SessionStatus
    total_price: Money
    platform_fee: Money
    instructor_payout: Money
    payment_status: PaymentStatus | None
    meeting_room: str | None = None


class PaymentOfBooking(BaseModel):
    status: PaymentStatus
    amount: Money
    captured: Money
    returned: Money
    """What went back to the student, whether a hold was let go or a charge refunded."""
    platform_fee: Money
    hold_ends_at: datetime | None


class Booking(BaseModel):
    id: UUID
    status: BookingStatus
    student_id: UUID
    instructor_id: UUID
    offering_id: UUID
    slot_id: UUID
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    updated_at: datetime
    price: Price
    policy: Policy
    checkout_url: str | None
    """For the student, while the booking can be paid."""
    session: Session | None
    payment: PaymentOfBooking | None
    next_deadline_at: datetime | None
    """What the booking waits for ends then; `null` once it is closed."""
    end_reason: EndReason | None
    rejection_reason: str | None


class CancellationQuote(BaseModel):
    """What a cancellation by the caller would do now."""

    booking_id: UUID
    booking_status: BookingStatus
    refund: Money
    """What goes back to the student; nothing while the booking is not paid."""
    kept: Money
    """What the student pays all the same: the platform's fee and the instructor's part."""
    platform_fee: Money
    instructor_payout: Money
    tier: RefundTier | None
    """Of the policy, where it decides; `null` where everything goes back, or past the last tier."""
    quoted_at: datetime
    valid_until: datetime | None
    """It holds up to and including this moment, unless the booking's status changes before."""


class BookingEvent(BaseModel):
    type: str
    """`booking.` and what happened to it, as the event's name is, too."""
    at: datetime
    by: Role
    booking: "BookingForOperator | Booking | None"
    """As it stands when the event is sent; `null` once it is deleted."""


class BookingForOperator(Booking):
    needs_attention: bool
    attention_reason: str | None


class BookingPage(BaseModel):
    data: list[Booking]
    next_cursor: str | None
    """`null` on the last page."""


class BookingPageForOperator(BaseModel):
    data: list[BookingForOperator]
    next_cursor: str | None
