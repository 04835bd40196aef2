"""Request and response bodies of the booking routes. Their names and fields are part of the API contract."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.bookings.operator_schemas import RefundDetails, ReportedCompletion, ReportedNoShow, SessionAttendance
from api.catalogue.schemas import Flag, RequestedPrice
from api.http.schema_types import FreeText, RequestModel, RequestTime, ResponseModel
from api.pricing import Policy, Price, RefundTier
from models.domain.actors import AbsentParty, Role, SignUpRole
from models.domain.deadlines import DeadlineOutcome
from models.domain.endings import EndReason
from models.domain.money import Money
from models.domain.policy import LossBearer, PaymentPlan
from models.domain.renewals import RenewalReason
from models.domain.states import BookingStatus, PaymentStatus, PayoutStatus, SessionStatus


class NewBooking(RequestModel):
    slot_id: UUID
    expected_price: RequestedPrice | None = None
    """The price that the student was shown. If it has changed, the booking is refused."""
    expected_policy_version: Annotated[str, Field(max_length=64)] | None = None
    """The `version` of the policy that the student was shown. If it has changed, the booking is refused."""
    allow_overlap: Flag = False
    """Book even if the student has another session at that time."""


class Rejection(RequestModel):
    reason: FreeText
    """Shown to the student. Must not contain NUL."""


class Objection(RequestModel):
    reason: FreeText
    """Shown to the instructor and to operators. Must not contain NUL."""


class Settlement(RequestModel):
    reason: FreeText | None = None
    """Required before the session's end. Kept in the audit trail."""


class Dismissal(RequestModel):
    reason: FreeText
    """Kept in the audit trail."""


class NoShow(RequestModel):
    absent: AbsentParty


class RefundRequest(RequestModel):
    amount_minor: Annotated[int, Field(strict=True, ge=1, lt=2**63)]
    """In minor units of the booking's currency."""
    reason: FreeText | None = None
    """Shown to both sides, if the booking has ended. Required before the session's end, and kept in the audit trail."""
    borne_by: LossBearer = LossBearer.BOTH
    """Both sides bear the refund in proportion; once the booking has ended, the platform can bear it alone."""


class Extension(RequestModel):
    until: RequestTime


class BookingCreated(ResponseModel):
    id: UUID
    status: BookingStatus
    checkout_url: str | None
    """URL of the payment page; `null` if the booking can no longer be paid."""
    expires_at: datetime | None
    """Payment deadline."""
    price: Price
    policy: Policy
    payment_plan: PaymentPlan
    """`HOLD`: the payment method is authorized, and charged after the session. `CHARGE_THEN_TRANSFER`: it is charged
    now, and the instructor is paid after the session."""
    is_recorded: bool
    """Whether the instructor may record the session."""


class Session(ResponseModel):
    id: UUID
    status: SessionStatus
    total_price: Money
    platform_fee: Money
    instructor_payout: Money
    payment_status: PaymentStatus | None


class PaymentRenewal(ResponseModel):
    """The student has to pay again: the hold does not last until the session, or has ended."""

    reason: RenewalReason
    amount: Money
    pay_by: datetime
    """Before the session, the booking is cancelled then. After it, an operator decides."""
    checkout_url: str | None
    """Only for the student. `null` while a new page is being opened."""


class BookingPayment(ResponseModel):
    plan: PaymentPlan
    """`HOLD`: authorized, and charged after the session. `CHARGE_THEN_TRANSFER`: charged before it."""
    payment_intent_id: str | None
    """Stripe's id of the payment. Only for the student and operators."""
    status: PaymentStatus
    amount: Money
    captured: Money
    returned: Money
    """Returned to the student: released from a hold, or refunded."""
    platform_fee: Money
    hold_ends_at: datetime | None
    """Until when the money can be held. Only while it is."""
    hold_lapsed_at: datetime | None
    """When it was noticed that the hold had ended too early. Nothing is held since."""
    renewal: PaymentRenewal | None
    """Only while the student is asked to pay again."""


class PayoutFailure(ResponseModel):
    code: str
    """Stripe's `failure_code`, or `canceled`."""
    why: str
    what_to_do: str
    """What the instructor should do."""


class BookingPayout(ResponseModel):
    """The instructor's share on its way to the bank."""

    status: PayoutStatus
    amount: Money
    transferred: Money | None
    """What is transferred of it, if the platform settles the payment in another currency. `null` otherwise."""
    platform_fee: Money
    stripe_payout_id: str | None
    """`null` while the share is in the instructor's Stripe balance."""
    expected_at: datetime | None
    """When Stripe expects it to arrive at the bank."""
    paid_at: datetime | None
    failure: PayoutFailure | None
    """Of the last payout. Cleared when a later payout includes the share."""


class Proposal(ResponseModel):
    """A proposal to move the session to another slot that the other side has not accepted or declined."""

    slot_id: UUID
    starts_at: datetime
    ends_at: datetime
    proposed_by: SignUpRole
    proposed_at: datetime


class BookingNames(ResponseModel):
    """What a row about a booking is about."""

    title: str
    """The offering's, when it was booked."""
    student_name: str
    instructor_name: str


class Booking(ResponseModel):
    id: UUID
    status: BookingStatus
    title: str
    """The offering's, when it was booked."""
    student_id: UUID
    student_name: str
    instructor_id: UUID
    instructor_name: str
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
    """Only for the student, while the booking can be paid."""
    session: Session | None
    payment: BookingPayment | None
    payout: BookingPayout | None
    """Only for the instructor and operators, once the instructor has a share."""
    proposal: Proposal | None
    no_show: ReportedNoShow | None
    completion: ReportedCompletion | None
    next_deadline_at: datetime | None
    """Deadline of the booking's current step; `null` once the booking is closed."""
    at_deadline: DeadlineOutcome | None
    """What happens then if nobody acts."""
    end_reason: EndReason | None
    rejection_reason: str | None


class MeetingLink(ResponseModel):
    """The caller's personal link to the meeting."""

    url: str
    """Keep it secret: anyone who has it joins as the caller."""
    room: str
    expires_at: datetime
    """When the link expires."""
    is_recorded: bool
    """Whether the instructor may record the session."""


class CancellationQuote(ResponseModel):
    """The effect of a cancellation by the caller now."""

    booking_id: UUID
    booking_status: BookingStatus
    refund: Money
    """Returned to the student; zero if the booking is not paid."""
    kept: Money
    """What the student still pays: the platform's fee plus the instructor's payout."""
    platform_fee: Money
    instructor_payout: Money
    tier: RefundTier | None
    """The policy tier that applies; `null` if everything is returned, or past the last tier."""
    quoted_at: datetime
    valid_until: datetime | None
    """The quote is valid up to and including this time, unless the booking's status changes first."""


class BookingEvent(ResponseModel):
    type: str
    """`booking.` and the action; also the name of the server-sent event."""
    at: datetime
    by: Role
    booking: "BookingForOperator | Booking | None"
    """The booking when the event was sent; `null` if it was deleted."""


class BookingForOperator(Booking):
    needs_attention: bool
    attention_reason: str | None
    stripe_dashboard_url: str | None
    """The payment in the Stripe Dashboard; `null` before there is one."""
    attendance: SessionAttendance | None
    """`null` without a session."""
    refunds: list[RefundDetails]
    """Earliest first."""


class BookingPage(ResponseModel):
    data: list[Booking]
    next_cursor: str | None
    """Pass it as `cursor` to get the next page; `null` on the last page."""


class BookingPageForOperator(ResponseModel):
    data: list[BookingForOperator]
    next_cursor: str | None
