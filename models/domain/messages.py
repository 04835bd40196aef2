"""The messages of the Booking workflow and its activities. All of them enter a history: ids and amounts only."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from models.domain.actors import AbsentParty, Actor
from models.domain.base import Value
from models.domain.endings import Ending, EndReason
from models.domain.money import Money
from models.domain.policy import PaymentPlan, Split
from models.domain.rationing import BookingLimits
from models.domain.renewals import Renewal
from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
from models.domain.terms import BookingTerms

PAYMENT_PROCESSING = "payment_processing"
"""The code with which a payment is not released yet: its method, such as a bank debit, is still confirming it."""
PAID_AGAIN = "paid_again"
"""The code with which the page of a renewal is not closed: the student has paid on it."""
CHARGE_DISPUTED = "charge_disputed"
"""The code with which a charge is not settled yet: its dispute is open."""
OPEN_CHECKOUT = "open_checkout"
"""The update that starts a booking. Also its update id, so that a repeated request gets the same answer."""


class Channel(StrEnum):
    """The channel through which a decision was made."""

    API = "api"
    TEMPORAL = "temporal"
    WORKFLOW = "workflow"
    STRIPE = "stripe"
    """Stripe's dashboard, bypassing Holdfast."""
    COMMAND = "command"
    """A command on the server, run by whoever administers it."""


class Refusal(StrEnum):
    """The error types that a caller of a booking's updates receives. The API maps them to problems."""

    NOT_POSSIBLE_NOW = "not_possible_now"
    SLOT_TAKEN = "slot_taken"
    CHECKOUT_REFUSED = "checkout_refused"
    LIMIT_REACHED = "limit_reached"
    """With the `LimitReached` as detail."""


class Decision(Value):
    actor: Actor
    channel: Channel = Channel.TEMPORAL


class Approve(Decision):
    """The instructor approves the booking."""


class Reject(Decision):
    """The instructor rejects the booking. The reason is free text, so it is stored in Postgres and not here."""


class Complete(Decision):
    """The instructor reports that the session took place."""

    record_is_enough: bool = False
    """The meeting's record shows it already, before the session's end. The workflow judges the record itself."""


class Confirm(Decision):
    """The student confirms that the session took place."""


class Object(Decision):
    """The student objects to a reported completion. The reason is free text, so it is stored in Postgres."""


class ReportNoShow(Decision):
    absent: AbsentParty


class ContestNoShow(Decision):
    """The party who was reported absent says that they were there."""


class Cancel(Decision):
    """Either side cancels the booking, or an operator does on behalf of the platform."""


class Settle(Decision):
    """An operator settles: the instructor gets the whole share."""

    has_reason: bool = False
    """Whether a reason is in the audit trail. Required before the session's end."""


class Release(Decision):
    """An operator releases: everything is returned to the student."""


class SettleAndRefund(Decision):
    """An operator returns `amount` to the student and settles the rest."""

    amount: Money
    has_reason: bool = False


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
    """The session's start when the two sides agreed. If it has changed since, their agreement is void."""


class Retry(Decision):
    """An operator retries the failed step of a parked booking."""


class PaymentEvent(Value):
    """A Stripe event about this booking. Only a reason to look: the current state is read from Stripe."""

    event_id: str
    type: str


class Checkout(Value):
    """The Checkout Session on which the student pays. Its URL, where anyone can pay, is only in the booking's row."""

    checkout_session_id: str
    customer_id: str
    expires_at: datetime


class BookingView(Value):
    """The result of an update, and of the workflow."""

    booking_status: BookingStatus | None
    """`None`: the slot was not reserved, or the booking request was deleted."""
    session_status: SessionStatus | None = None
    payment_status: PaymentStatus | None = None
    needs_attention: bool = False
    end_reason: EndReason | None = None


class HoldPhase(StrEnum):
    """The phase of a payment, as Stripe reports it."""

    OPEN = "OPEN"
    """Not paid yet; it still can be."""
    PROCESSING = "PROCESSING"
    """Paid with a method, such as a bank debit, that takes days to confirm."""
    CLOSED = "CLOSED"
    """Never paid; it no longer can be."""
    HELD = "HELD"
    """Authorized and not captured; under `CHARGE_THEN_TRANSFER`, charged and not transferred."""
    CAPTURED = "CAPTURED"
    """A part of it is the instructor's."""
    GONE = "GONE"
    """Held and then returned: by Holdfast, by Stripe when the hold ended, or manually in Stripe's dashboard."""


class PaymentState(Value):
    """A payment as read from Stripe at one moment. Amounts in minor units of the price's currency."""

    phase: HoldPhase
    checkout_session_id: str | None = None
    payment_intent_id: str | None = None
    charge_id: str | None = None
    hold_ends_at: datetime | None = None
    """Only while there is a hold."""
    captured_minor: int = 0
    refunded_minor: int = 0
    """The refunded part of what was captured. Releasing a hold is not a refund."""
    refund_ids: tuple[str, ...] = ()
    """Stripe's ids of the refunds that this part went back with, whoever made them."""
    platform_fee_minor: int = 0
    """The platform's fee, before any refund."""
    fee_returned_minor: int = 0
    """The part of that fee which went back to the instructor."""
    transferred_minor: int | None = None
    """What was transferred to the instructor's account, before any reversal; `None` for a destination charge, of which
    it is the captured amount."""
    reversed_minor: int = 0
    """The part of the transfer that was taken back from the instructor."""
    is_disputed: bool = False
    """The cardholder's bank has withdrawn a part of it, and the dispute is open."""
    lost_minor: int = 0
    """What lost disputes have returned to the cardholder."""
    stripe_fee: Money | None = None
    """Stripe's fee for a captured charge; `None` before the capture, and until Stripe has booked it."""
    decline_code: str | None = None
    """Why the last card was declined, while the student can still try another."""
    advice_code: str | None = None
    """Stripe's `advice_code` for that decline."""

    @property
    def was_held(self) -> bool:
        return self.phase in (HoldPhase.HELD, HoldPhase.CAPTURED, HoldPhase.GONE)

    @property
    def instructor_minor(self) -> int:
        """What the instructor has of it on their balance at Stripe, payouts aside."""
        if self.transferred_minor is not None:
            return self.transferred_minor - self.reversed_minor
        return self.captured_minor - self.reversed_minor - self.platform_fee_minor + self.fee_returned_minor

    @property
    def is_returned(self) -> bool:
        """Everything that was captured has been refunded."""
        return self.phase is HoldPhase.CAPTURED and self.refunded_minor >= self.captured_minor


class PaymentRef(Value):
    """How to find a booking's payment at Stripe. Ids that are not known yet are `None`."""

    booking_id: UUID
    plan: PaymentPlan
    student_id: UUID
    checkout_session_id: str | None = None
    payment_intent_id: str | None = None
    is_renewal: bool = False
    operator_round: int = 0
    """How often an operator has retried a failed step. Stripe sees each retry as a new step, with a new key."""


class SecurePayment(Value):
    terms: BookingTerms
    expires_at: datetime
    """When Stripe closes the Checkout page. Holdfast's own deadline is never later."""
    renewal: Renewal | None = None
    """`None` for the booking's first payment."""


class SettlePayment(Value):
    ref: PaymentRef
    split: Split
    stripe_account_id: str | None = None
    """The instructor's account, which must still be able to receive transfers."""


class ReserveSlot(Value):
    terms: BookingTerms
    booked_at: datetime
    checkout_deadline_at: datetime
    limits: BookingLimits | None = None
    """The student's limits; `None` for none."""
    allow_overlap: bool = False
    """Whether the session may overlap another one of the student."""
    is_reset: bool = False
    """Whether the workflow was reset to a time before the answer."""


class RecordCheckout(Value):
    booking_id: UUID
    student_id: UUID
    checkout: Checkout
    at: datetime


class RecordProcessing(Value):
    """The student has paid with a method that takes days to confirm."""

    booking_id: UUID
    until: datetime
    at: datetime


class RecordAuthorization(Value):
    terms: BookingTerms
    payment: PaymentState
    authorized_at: datetime
    approval_deadline_at: datetime


class RecordRenewal(Value):
    """The student has to pay again, on a Checkout page that is opened next."""

    booking_id: UUID
    renewal: Renewal
    at: datetime


class RecordRenewalClosed(Value):
    """The student no longer has to pay again."""

    booking_id: UUID
    deadline_at: datetime
    at: datetime


class RecordRenewedPayment(Value):
    terms: BookingTerms
    """With the new plan."""
    payment: PaymentState
    deadline_at: datetime | None
    """The booking's deadline from now on; `None` if it is ending."""
    at: datetime


class RecordLapse(Value):
    """Stripe no longer holds the money of a booking that is still open."""

    terms: BookingTerms
    at: datetime


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
    """`None`: there is no Checkout Session, because Stripe refused to create one."""
    at: datetime


class RecordAttention(Value):
    """`reason` says what failed permanently; `None` means that an operator has resolved it."""

    booking_id: UUID
    reason: str | None
    at: datetime
    decision: Decision | None = None
    until: datetime | None = None
    """By when an operator has to decide; `None` if the booking waits for as long as it takes."""
    ending: Ending | None = None
    """The ending that the failed step was part of, or that is carried out next, if any."""
    operator_round: int | None = None
    """`PaymentRef.operator_round` of the failed step, or of the next one."""
    update_id: str | None = None
    """The update with which an operator has resolved it."""


class FailedWrite(Value):
    """A write about a booking that fails, and is tried again."""

    booking_id: UUID
    reason: str
    at: datetime


class MoveResult(StrEnum):
    MOVED = "moved"
    SLOT_TAKEN = "slot_taken"
    """Booked or withdrawn."""
    PROPOSAL_CLOSED = "proposal_closed"
    """Declined, withdrawn or replaced before the acceptance was recorded."""


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
