"""What is said to, by and inside a booking's workflow. Everything here enters a history: ids and amounts only."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from models.domain.actors import AbsentParty, Actor
from models.domain.base import Value
from models.domain.endings import Ending, EndReason
from models.domain.money import Money
from models.domain.policy import PaymentPlan, Split
from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
from models.domain.terms import BookingTerms

OPEN_CHECKOUT = "open_checkout"
"""The update that a booking is started with; also its update id, so that asking again gives the same answer."""


class Channel(StrEnum):
    """Through which door a decision came."""

    API = "api"
    TEMPORAL = "temporal"
    WORKFLOW = "workflow"
    STRIPE = "stripe"
    """Stripe's own dashboard, past Holdfast."""


class Refusal(StrEnum):
    """The types of the errors that a caller of a booking's updates gets; the API makes problems of them."""

    NOT_POSSIBLE_NOW = "not_possible_now"
    SLOT_TAKEN = "slot_taken"
    CHECKOUT_REFUSED = "checkout_refused"


class Decision(Value):
    actor: Actor
    channel: Channel = Channel.TEMPORAL


class Approve(Decision):
    """The instructor takes the booking."""


class Reject(Decision):
    """The instructor does not take it. The reason, a person's words, is kept in Postgres and not here."""


class Complete(Decision):
    """The session took place."""


class ReportNoShow(Decision):
    absent: AbsentParty


class ContestNoShow(Decision):
    """Who is said to have been absent says that they were there."""


class Cancel(Decision):
    """Either side, or an operator for the platform, calls it off."""


class Settle(Decision):
    """An operator gives the instructor the whole share."""


class Release(Decision):
    """An operator gives the student everything back."""


class SettleAndRefund(Decision):
    """An operator gives the student `amount` back and settles the rest."""

    amount: Money


class Extend(Decision):
    """An operator moves the deadline that the booking waits for."""

    until: datetime


class Reschedule(Decision):
    """Both sides have agreed on another slot of the same offering; `actor` is the one who agreed last."""

    proposal_id: UUID
    slot_id: UUID
    starts_at: datetime
    ends_at: datetime
    from_starts_at: datetime
    """When the session was to begin as its sides agreed: they agreed on nothing if it begins at another time now."""


class Retry(Decision):
    """An operator has the failed step of a parked booking tried again."""


class PaymentEvent(Value):
    """Stripe's news about this booking. Only a reason to look: what is true is asked of Stripe."""

    event_id: str
    type: str


class Checkout(Value):
    """Where the student pays."""

    checkout_session_id: str
    customer_id: str
    url: str
    expires_at: datetime


class BookingView(Value):
    """What a caller of an update gets back, and what the workflow returns at its end."""

    booking_status: BookingStatus | None
    """`None`: the slot was not reserved, or the booking request is deleted."""
    session_status: SessionStatus | None = None
    payment_status: PaymentStatus | None = None
    needs_attention: bool = False
    end_reason: EndReason | None = None


class HoldPhase(StrEnum):
    """Where a payment stands, as Stripe tells."""

    OPEN = "OPEN"
    """Not paid, and it still can be."""
    CLOSED = "CLOSED"
    """Never paid, and it no longer can be."""
    HELD = "HELD"
    CAPTURED = "CAPTURED"
    GONE = "GONE"
    """It was held and has been let go: by us, by Stripe at the hold's end, or by hand in Stripe's dashboard."""


class PaymentState(Value):
    """A payment as Stripe has it, read at one moment. Amounts in minor units of the price's currency."""

    phase: HoldPhase
    checkout_session_id: str | None = None
    payment_intent_id: str | None = None
    charge_id: str | None = None
    hold_ends_at: datetime | None = None
    captured_minor: int = 0
    refunded_minor: int = 0
    """Of what was captured; a hold that was let go is no refund."""
    platform_fee_minor: int = 0
    """What the platform takes, or took before any refund."""
    stripe_fee: Money | None = None
    """What Stripe took of a captured charge; `None` before that, and while Stripe has not booked it."""
    decline_code: str | None = None
    """Why the last card was refused, while the student may still try another."""

    @property
    def was_held(self) -> bool:
        return self.phase in (HoldPhase.HELD, HoldPhase.CAPTURED, HoldPhase.GONE)

    @property
    def is_returned(self) -> bool:
        """All that was captured has gone back."""
        return self.phase is HoldPhase.CAPTURED and self.refunded_minor >= self.captured_minor


class PaymentRef(Value):
    """How to find a booking's payment on Stripe; what is not known yet is `None`."""

    booking_id: UUID
    plan: PaymentPlan
    student_id: UUID
    checkout_session_id: str | None = None
    payment_intent_id: str | None = None
    operator_round: int = 0
    """How often an operator has had a failed step tried again: each time is a new step to Stripe, with a new key."""


class SecurePayment(Value):
    terms: BookingTerms
    expires_at: datetime
    """When Stripe itself closes the Checkout page; Holdfast's own deadline is never later."""


class SettlePayment(Value):
    ref: PaymentRef
    split: Split


class ReserveSlot(Value):
    terms: BookingTerms
    booked_at: datetime
    checkout_deadline_at: datetime


class RecordCheckout(Value):
    booking_id: UUID
    student_id: UUID
    checkout: Checkout
    at: datetime


class RecordAuthorization(Value):
    terms: BookingTerms
    payment: PaymentState
    authorized_at: datetime
    approval_deadline_at: datetime


class RecordAcceptance(Value):
    terms: BookingTerms
    decision: Approve
    completion_deadline_at: datetime
    at: datetime


class RecordEnding(Value):
    terms: BookingTerms
    ending: Ending
    channel: Channel
    payment: PaymentState | None
    """`None`: there is no Checkout Session, since Stripe refused to make one."""
    at: datetime


class RecordAttention(Value):
    """`reason` says what failed for good; `None` says that an operator has taken care of it."""

    booking_id: UUID
    reason: str | None
    at: datetime
    decision: Decision | None = None


class MoveSlot(Value):
    booking_id: UUID
    decision: Reschedule
    deadline_at: datetime
    at: datetime


class RecordDeadline(Value):
    booking_id: UUID
    decision: Extend
    deadline_at: datetime
    at: datetime
