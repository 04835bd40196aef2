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
    """The slot to book."""
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


class NoShowReport(RequestModel):
    absent: AbsentParty
    """Who did not come."""


class RefundRequest(RequestModel):
    amount_minor: Annotated[int, Field(strict=True, ge=1, lt=2**63)]
    """In minor units of the booking's currency."""
    reason: FreeText | None = None
    """Shown to both sides, if the booking has ended. Required before the session's end, and kept in the audit trail."""
    borne_by: LossBearer = LossBearer.BOTH
    """Both sides bear the refund in proportion; once the booking has ended, the platform can bear it alone."""


class DeadlineExtension(RequestModel):
    until: RequestTime
    """The new deadline."""


class BookingCreated(ResponseModel):
    id: UUID
    """The booking's id."""
    status: BookingStatus
    """`PENDING`, unless a repeated request finds the booking in a later state."""
    checkout_url: str | None
    """URL of the payment page; `null` if the booking can no longer be paid."""
    expires_at: datetime | None
    """Payment deadline."""
    price: Price
    """The price, frozen on the booking."""
    policy: Policy
    """The policy, frozen on the booking."""
    payment_plan: PaymentPlan
    """`HOLD`: the payment method is authorized, and charged after the session. `CHARGE_THEN_TRANSFER`: it is charged
    now, and the instructor is paid after the session."""
    is_recorded: bool
    """Whether the instructor may record the session."""


class Session(ResponseModel):
    id: UUID
    """The session's id."""
    status: SessionStatus
    """The session's state."""
    total_price: Money
    """The booking's price."""
    platform_fee: Money
    """The platform's share, if the session takes place."""
    instructor_payout: Money
    """The instructor's share, if the session takes place."""
    payment_status: PaymentStatus | None
    """The payment's state."""


class PaymentRenewal(ResponseModel):
    """The student has to pay again: the hold does not last until the session, or has ended."""

    reason: RenewalReason
    """Why the student has to pay again."""
    amount: Money
    """What they have to pay: the price."""
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
    """The payment's state."""
    amount: Money
    """What was authorized."""
    captured: Money
    """What was captured from the card so far."""
    returned: Money
    """Returned to the student: released from a hold, or refunded."""
    platform_fee: Money
    """The platform's share of what was captured."""
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
    """The reason in a sentence."""
    what_to_do: str
    """What the instructor should do."""


class BookingPayout(ResponseModel):
    """The instructor's share on its way to the bank."""

    status: PayoutStatus
    """The payout's state."""
    amount: Money
    """The instructor's share."""
    transferred: Money | None
    """What is transferred of it, if the platform settles the payment in another currency. `null` otherwise."""
    platform_fee: Money
    """What the platform kept."""
    stripe_payout_id: str | None
    """`null` while the share is in the instructor's Stripe balance."""
    expected_at: datetime | None
    """When Stripe expects it to arrive at the bank."""
    paid_at: datetime | None
    """When it arrived at the bank."""
    failure: PayoutFailure | None
    """Of the last payout. Cleared when a later payout includes the share."""


class Proposal(ResponseModel):
    """A proposal to move the session to another slot that the other side has not accepted or declined."""

    slot_id: UUID
    """The proposed slot."""
    starts_at: datetime
    """When it starts."""
    ends_at: datetime
    """When it ends."""
    proposed_by: SignUpRole
    """Which side proposed it."""
    proposed_at: datetime
    """When it was proposed."""


class BookingNames(ResponseModel):
    """What a row about a booking is about."""

    title: str
    """The offering's, when it was booked."""
    student_name: str
    """The student's display name."""
    instructor_name: str
    """The instructor's display name."""


class Booking(ResponseModel):
    id: UUID
    """The booking's id."""
    status: BookingStatus
    """The booking's state."""
    title: str
    """The offering's, when it was booked."""
    student_id: UUID
    """The student."""
    student_name: str
    """The student's display name."""
    instructor_id: UUID
    """The instructor."""
    instructor_name: str
    """The instructor's display name."""
    offering_id: UUID
    """The offering."""
    slot_id: UUID
    """The slot that is booked."""
    starts_at: datetime
    """When the session starts."""
    ends_at: datetime
    """When the session ends."""
    created_at: datetime
    """When it was booked."""
    updated_at: datetime
    """When anything about the booking last changed."""
    price: Price
    """The price, as shown before payment and frozen since."""
    policy: Policy
    """The policy, as shown before payment and frozen since."""
    is_recorded: bool
    """Whether the instructor may record the session."""
    checkout_url: str | None
    """Only for the student, while the booking can be paid."""
    session: Session | None
    """The session; `null` until the instructor approves."""
    payment: BookingPayment | None
    """The payment; `null` until the card is authorized."""
    payout: BookingPayout | None
    """Only for the instructor and operators, once the instructor has a share."""
    proposal: Proposal | None
    """The open proposal to move the session."""
    no_show: ReportedNoShow | None
    """The report that one side did not come."""
    completion: ReportedCompletion | None
    """The instructor's report that the session took place, if the student can object to it."""
    next_deadline_at: datetime | None
    """Deadline of the booking's current step; `null` once the booking is closed."""
    at_deadline: DeadlineOutcome | None
    """What happens then if nobody acts."""
    end_reason: EndReason | None
    """Why the booking ended; `null` while it is open."""
    rejection_reason: str | None
    """What the instructor wrote when rejecting the booking."""


class MeetingLink(ResponseModel):
    """The caller's personal link to the meeting."""

    url: str
    """Keep it secret: anyone who has it joins as the caller."""
    room: str
    """The room's name at the meeting provider."""
    expires_at: datetime
    """When the link expires."""
    is_recorded: bool
    """Whether the instructor may record the session."""


class CancellationQuote(ResponseModel):
    """The effect of a cancellation by the caller now."""

    booking_id: UUID
    """The booking."""
    booking_status: BookingStatus
    """The booking's state when it was quoted."""
    refund: Money
    """Returned to the student; zero if the booking is not paid."""
    kept: Money
    """What the student still pays: the platform's fee plus the instructor's payout."""
    platform_fee: Money
    """The platform's share of what is kept."""
    instructor_payout: Money
    """The instructor's share of what is kept."""
    tier: RefundTier | None
    """The policy tier that applies; `null` if everything is returned, or past the last tier."""
    quoted_at: datetime
    """When the quote was made."""
    valid_until: datetime | None
    """The quote is valid up to and including this time, unless the booking's status changes first."""


class BookingEvent(ResponseModel):
    type: str
    """`booking.` and the action; also the name of the server-sent event."""
    at: datetime
    """When it happened."""
    by: Role
    """Who did it."""
    booking: "BookingForOperator | Booking | None"
    """The booking when the event was sent; `null` if it was deleted."""


class BookingForOperator(Booking):
    needs_attention: bool
    """Whether the booking waits for an operator."""
    attention_reason: str | None
    """Why it needs attention: a code."""
    stripe_dashboard_url: str | None
    """The payment in the Stripe Dashboard; `null` before there is one."""
    attendance: SessionAttendance | None
    """`null` without a session."""
    refunds: list[RefundDetails]
    """Earliest first."""


class BookingPage(ResponseModel):
    data: list[Booking]
    """The items of this page."""
    next_cursor: str | None
    """Pass it as `cursor` to get the next page; `null` on the last page."""


class BookingPageForOperator(ResponseModel):
    data: list[BookingForOperator]
    """The items of this page."""
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""
