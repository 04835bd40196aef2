"""What the API takes and gives, as JSON. Names and fields are the contract's; times are RFC 3339 in UTC."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.bookings.operator_schemas import RefundDetails, ReportedNoShow, SessionAttendance
from api.http.schema_types import RequestModel, RequestTime, ResponseModel, Words
from api.pricing import Policy, Price, RefundTier
from models.domain.actors import AbsentParty, Role, SignUpRole
from models.domain.endings import EndReason
from models.domain.money import Money
from models.domain.policy import LossBearer
from models.domain.states import BookingStatus, PaymentStatus, PayoutStatus, SessionStatus


class NewBooking(RequestModel):
    slot_id: UUID


class Rejection(RequestModel):
    reason: Words
    """For the student to read. Any text but NUL, which Postgres cannot keep."""


class NoShow(RequestModel):
    absent: AbsentParty


class RefundRequest(RequestModel):
    amount_minor: Annotated[int, Field(strict=True, ge=1, lt=2**63)]
    """In minor units of the booking's currency."""
    reason: Words | None = None
    """For both sides to read, of a refund after the booking's end."""
    borne_by: LossBearer = LossBearer.BOTH
    """By both in proportion, or, after the booking's end, by the platform alone."""


class Extension(RequestModel):
    until: RequestTime


class BookingCreated(ResponseModel):
    id: UUID
    status: BookingStatus
    checkout_url: str | None
    """Where to pay; `null` once that is no longer possible."""
    expires_at: datetime | None
    """Until when to pay."""
    price: Price
    policy: Policy
    is_recorded: bool
    """Whether the instructor may record the session."""


class Session(ResponseModel):
    status: SessionStatus
    total_price: Money
    platform_fee: Money
    instructor_payout: Money
    payment_status: PaymentStatus | None


class BookingPayment(ResponseModel):
    status: PaymentStatus
    amount: Money
    captured: Money
    returned: Money
    """What went back to the student, whether a hold was let go or a charge refunded."""
    platform_fee: Money
    hold_ends_at: datetime | None


class PayoutFailure(ResponseModel):
    code: str
    """Stripe's, or `canceled`."""
    why: str
    what_to_do: str
    """By the instructor."""


class BookingPayout(ResponseModel):
    """The instructor's share on its way to the bank."""

    status: PayoutStatus
    amount: Money
    platform_fee: Money
    stripe_payout_id: str | None
    """`null` while the share waits on the instructor's balance at Stripe."""
    expected_at: datetime | None
    """When Stripe expects it at the bank."""
    paid_at: datetime | None
    failure: PayoutFailure | None
    """Of the last payout, until a later one takes the share with it."""


class Proposal(ResponseModel):
    """A wish to hold the session at another time, which the other side has not answered yet."""

    slot_id: UUID
    starts_at: datetime
    ends_at: datetime
    proposed_by: SignUpRole
    proposed_at: datetime


class Booking(ResponseModel):
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
    is_recorded: bool
    """Whether the instructor may record the session."""
    checkout_url: str | None
    """For the student, while the booking can be paid."""
    session: Session | None
    payment: BookingPayment | None
    payout: BookingPayout | None
    """For the instructor and operators, once there is a share."""
    proposal: Proposal | None
    no_show: ReportedNoShow | None
    next_deadline_at: datetime | None
    """What the booking waits for ends then; `null` once it is closed."""
    end_reason: EndReason | None
    rejection_reason: str | None


class MeetingLink(ResponseModel):
    """The caller's own way into the meeting."""

    url: str
    """Whoever has it is let in as the caller."""
    room: str
    expires_at: datetime
    """Until when the link lets in."""
    is_recorded: bool
    """Whether the instructor may record the session."""


class CancellationQuote(ResponseModel):
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


class BookingEvent(ResponseModel):
    type: str
    """`booking.` and what happened to it, as the event's name is, too."""
    at: datetime
    by: Role
    booking: "BookingForOperator | Booking | None"
    """As it stands when the event is sent; `null` once it is deleted."""


class BookingForOperator(Booking):
    needs_attention: bool
    attention_reason: str | None
    attendance: SessionAttendance | None
    """`null` without a session."""
    refunds: list[RefundDetails]
    """The earliest first."""


class BookingPage(ResponseModel):
    data: list[Booking]
    next_cursor: str | None
    """`cursor` of the next page; `null` on the last one."""


class BookingPageForOperator(ResponseModel):
    data: list[BookingForOperator]
    next_cursor: str | None
