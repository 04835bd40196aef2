"""Where a booking stands by its records. A workflow that was reset in Temporal goes on from there."""

from datetime import datetime

from models.domain.actors import AbsentParty, Actor
from models.domain.base import Value
from models.domain.decisions import Stage
from models.domain.endings import Ending
from models.domain.messages import (
    BookingView,
    Complete,
    ContestNoShow,
    Object,
    ReportNoShow,
)
from models.domain.payments import Checkout, PaymentState
from models.domain.renewals import Renewal
from models.domain.session_reports import Answer, Report
from models.domain.terms import BookingTerms


class LoadBooking(Value):
    terms: BookingTerms
    """As booked: a deleted booking request has no row to read them from."""


class RecordedBooking(Value):
    stage: Stage
    view: BookingView
    terms: BookingTerms
    """With the slot that the session was moved to."""
    deadline: datetime | None = None
    checkout: Checkout | None = None
    payment: PaymentState | None = None
    """As authorized. Its current state is looked up at Stripe."""
    hold_ends_at: datetime | None = None
    reported_by: Actor | None = None
    """`None`: neither side has reported on the session."""
    reported_absent: AbsentParty | None = None
    """`None`: it is reported that the session took place."""
    answered_by: Actor | None = None
    parked_because: str | None = None
    parked_ending: Ending | None = None
    """The ending that a failed step was part of. It is under way if the booking is not parked any more."""
    renewal: Renewal | None = None
    renewal_pages: int = 0
    is_lapsed: bool = False
    ended_by: Actor | None = None
    operator_round: int = 0
    carried_out: tuple[str, ...] = ()
    """The updates with which operators had failed steps tried again."""

    @property
    def report(self) -> Report | None:
        if self.reported_by is None:
            return None
        if self.reported_absent is None:
            return Complete(actor=self.reported_by)
        return ReportNoShow(actor=self.reported_by, absent=self.reported_absent)

    @property
    def answer(self) -> Answer | None:
        if self.answered_by is None:
            return None
        if self.reported_absent is None:
            return Object(actor=self.answered_by)
        return ContestNoShow(actor=self.answered_by)
