"""The messages of the Booking workflow and its activities. All of them enter a history: ids and amounts only."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from models.domain.actors import AbsentParty, Actor
from models.domain.base import Value
from models.domain.endings import Ending, EndReason
from models.domain.money import Money
from models.domain.payments import Checkout, PaymentState
from models.domain.rationing import BookingLimits
from models.domain.renewals import Renewal
from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
from models.domain.terms import BookingTerms

OPEN_CHECKOUT = "open_checkout"
"""The update that starts a booking. Also its update id, so that a repeated request gets the same answer."""


class Channel(StrEnum):
    """The channel through which a decision was made."""

    API = "api"
    SERVICE = "service"
    """The API, by a program with a service token."""
    AGENT = "agent"
    """The agents' door, by an agent with a service token."""
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

    is_fraudulent: bool = False
    """The card's bank has warned of fraud. Stripe then blocks the card and the email address."""


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


class BookingView(Value):
    """The result of an update, and of the workflow."""

    booking_status: BookingStatus | None
    """`None`: the slot was not reserved, or the booking request was deleted."""
    session_status: SessionStatus | None = None
    payment_status: PaymentStatus | None = None
    needs_attention: bool = False
    end_reason: EndReason | None = None


class ReserveSlot(Value):
    terms: BookingTerms
    booked_at: datetime
    checkout_deadline_at: datetime
    limits: BookingLimits | None = None
    """The student's limits; `None` for none."""
    allow_overlap: bool = False
    """Whether the session may overlap another one of the student."""
    is_reset: bool = False
    """Whether the workflow was reset to a time before the answer, or starts again because Temporal was lost."""
    channel: Channel = Channel.API
    token_id: UUID | None = None
    """The service token that it was booked with."""
    page_url: str | None = None
    """The booking's page for operators, who sign in on it. `None` without the pages."""


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


class RecordRefusedSignal(Value):
    """Nobody waits for the outcome of a signal, so a refusal is recorded."""

    booking_id: UUID
    signal: str
    """`unknown` if there is none of its name."""
    reason: str
    at: datetime
    actor: Actor | None = None
    """Who the signal says has sent it; `None` if it cannot be read."""


class FailedWrite(Value):
    """A write about a booking that fails, and is tried again."""

    booking_id: UUID
    reason: str
    at: datetime


class AttentionCase(Value):
    """A booking that needs attention and has no parked workflow that would say so."""

    booking_id: UUID
    reason: str
    student_id: UUID
    instructor_id: UUID
    starts_at: datetime
    price: Money
    booking_status: BookingStatus
    payment_status: PaymentStatus | None = None
    checkout_session_id: str | None = None
    payment_intent_id: str | None = None
    page_url: str | None = None
    """The booking's page for operators, if there are pages."""


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
