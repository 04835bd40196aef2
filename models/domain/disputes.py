"""Disputes: what is said to, by and inside their workflows, and who bears a lost one. Ids and amounts only."""

from datetime import datetime, timedelta
from enum import StrEnum

from models.domain.actors import Actor
from models.domain.base import Value
from models.domain.money import Money
from models.domain.postings import Parties, Shares
from models.domain.states import DisputeStatus

EVIDENCE_MARGIN = timedelta(days=2)
"""How long before Stripe's deadline the evidence goes out by itself: until then an operator may add or take over."""


class DisputeRefusal(StrEnum):
    """The types of the errors that a caller of the updates gets."""

    NOT_OPEN = "dispute_not_open"


class DisputeOrder(Value):
    dispute_id: str


class DisputeEvent(Value):
    """Stripe's news about a dispute. Only a reason to look: what is true is asked of Stripe."""

    event_id: str
    type: str


class Answer(StrEnum):
    """What an operator may decide, as the audit trail has it."""

    TAKEN_OVER = "taken_over"
    """They answer by themselves, in Stripe's dashboard."""
    EVIDENCE = "evidence_ordered"
    """The evidence goes out now."""
    ACCEPTED = "accepted"
    """The bank is right: the dispute is lost without an answer."""


class DisputeDecision(Value):
    actor: Actor
    answer: Answer


class DisputeState(Value):
    """A dispute as Stripe has it, read at one moment."""

    dispute_id: str
    charge_id: str
    payment_intent_id: str | None
    amount: Money
    reason: str
    status: DisputeStatus
    is_inquiry: bool
    """No money has been taken yet."""
    respond_by: datetime | None = None
    withdrawn: bool = False
    """The bank has the money."""
    reinstated: bool = False
    """The bank has given it back."""
    fee: Money
    """What Stripe took for it."""
    fee_returned: Money | None = None
    """What Stripe gave back of that."""

    @property
    def is_over(self) -> bool:
        return self.status in (DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.CLOSED)


class DisputeCase(Value):
    """Whose booking is disputed, and how a loss would be borne."""

    parties: Parties
    borne_if_lost: Shares
    owed: Money | None = None
    """What the bank has taken besides: the student was owed it already, by a refund that came back."""
    is_taken_over: bool = False
    """An operator answers by themselves."""


class RecordDispute(Value):
    state: DisputeState
    at: datetime


class RecordDisputeDecision(Value):
    dispute_id: str
    decision: DisputeDecision
    at: datetime


class RecordEvidence(Value):
    dispute_id: str
    case: DisputeCase
    at: datetime


class RecordDisputeEnd(Value):
    state: DisputeState
    case: DisputeCase
    borne: Shares
    """Of a lost one: how it was borne in fact."""
    at: datetime


class SubmitEvidence(Value):
    dispute_id: str
    case: DisputeCase


class ReverseDisputedTransfer(Value):
    """The instructor's part of a lost dispute, to be reversed out of their balance at Stripe."""

    dispute_id: str
    charge_id: str
    amount: Money


def with_taken_back(borne: Shares, taken_back: Money) -> Shares:
    """What could not be taken back from the instructor, the platform bears."""
    missing = borne.instructor - taken_back
    return Shares(instructor=taken_back, platform_fee=borne.platform_fee, platform_loss=borne.platform_loss + missing)
