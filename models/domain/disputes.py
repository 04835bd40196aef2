"""Disputes: the messages of their workflows, and who bears a lost one. Ids and amounts only."""

from datetime import datetime, timedelta
from enum import StrEnum

from models.domain.actors import Actor
from models.domain.base import Value
from models.domain.money import Money
from models.domain.postings import Parties, Shares
from models.domain.states import DisputeStatus

EVIDENCE_MARGIN = timedelta(days=2)
"""How long before Stripe's deadline the evidence is submitted automatically. Until then, an operator may decide."""


class DisputeRefusal(StrEnum):
    """The error types that a caller of the updates receives."""

    NOT_OPEN = "dispute_not_open"


class DisputeOrder(Value):
    dispute_id: str


class DisputeEvent(Value):
    """A Stripe event about a dispute. Only a reason to look: the current state is read from Stripe."""

    event_id: str
    type: str


class DisputeResponse(StrEnum):
    """What an operator may decide; the audit trail has the same values."""

    TAKEN_OVER = "taken_over"
    """The operator responds in Stripe's dashboard."""
    EVIDENCE = "evidence_ordered"
    """The evidence is submitted now."""
    ACCEPTED = "accepted"
    """The claim is accepted: the dispute is lost without a response."""


class DisputeDecision(Value):
    actor: Actor
    answer: DisputeResponse


class DisputeState(Value):
    """A dispute as read from Stripe at one moment."""

    dispute_id: str
    charge_id: str
    payment_intent_id: str | None
    amount: Money
    reason: str
    status: DisputeStatus
    is_inquiry: bool
    """No money has been withdrawn yet."""
    respond_by: datetime | None = None
    withdrawn: bool = False
    """The bank has withdrawn the money."""
    reinstated: bool = False
    """The bank has returned the money."""
    fee: Money
    """Stripe's fee for the dispute."""
    fee_returned: Money | None = None
    """The part of the fee that Stripe returned."""

    @property
    def is_over(self) -> bool:
        return self.status in (DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.CLOSED)


class DisputeContext(Value):
    """Whose booking is disputed, and how a loss would be shared."""

    parties: Parties
    borne_if_lost: Shares
    share_left: Money | None = None
    """What the instructor would keep of their share."""
    owed: Money | None = None
    """The part of the disputed amount that the student was already owed, from a refund that failed."""
    is_held: bool = False
    """The booking is open: the charge is still the student's, so nobody bears its loss."""
    is_taken_over: bool = False
    """An operator responds in Stripe's dashboard."""
    ordered: DisputeResponse | None = None
    """What an operator has decided, and nobody has sent yet."""


class RecordDispute(Value):
    state: DisputeState
    at: datetime


class RecordDisputeDecision(Value):
    dispute_id: str
    decision: DisputeDecision
    at: datetime
    order_id: str | None = None
    """The update's id: a decision that is played again after a reset changes nothing."""


class RecordEvidence(Value):
    dispute_id: str
    case: DisputeContext
    at: datetime


class RecordDisputeEnd(Value):
    state: DisputeState
    case: DisputeContext
    borne: Shares
    """For a lost dispute: how the loss was actually shared."""
    at: datetime


class SubmitEvidence(Value):
    dispute_id: str
    case: DisputeContext


class ReverseDisputedTransfer(Value):
    """The instructor's part of a lost dispute, to be reversed from their balance at Stripe."""

    dispute_id: str
    charge_id: str
    amount: Money
    left: Money | None = None
    """What the instructor keeps then. `None` in histories from before transfers of converted charges."""


def after_recovery(borne: Shares, taken_back: Money) -> Shares:
    """The shares after `taken_back` was recovered from the instructor. The platform bears what was not recovered."""
    missing = borne.instructor - taken_back
    return Shares(instructor=taken_back, platform_fee=borne.platform_fee, platform_loss=borne.platform_loss + missing)
