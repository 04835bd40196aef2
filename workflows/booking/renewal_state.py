"""What a booking has reached in having its payment made again. Plain Python, as `BookingState` is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from models.domain import policy
from models.domain.money import Money
from models.domain.payments import Checkout, PaymentRef
from models.domain.policy import PaymentPlan
from models.domain.renewals import Renewal, RenewalReason
from models.domain.resets import RecordedBooking
from models.domain.terms import BookingTerms


@dataclass
class RenewalState:
    request: Renewal | None = None
    """What the student is asked to pay again."""
    pages: int = 0
    """How many Checkout pages there have been to pay again on."""
    hold_lapsed: bool = False
    """Stripe no longer holds the money."""

    @classmethod
    def recorded(cls, recorded: RecordedBooking) -> Self:
        return cls(request=recorded.renewal, pages=recorded.renewal_pages, hold_lapsed=recorded.is_lapsed)

    @property
    def open_request(self) -> Renewal:
        assert self.request is not None
        return self.request

    def before_session(
        self, terms: BookingTerms, hold_ends_at: datetime, approve_by: datetime | None, now: datetime
    ) -> Renewal:
        """What the student has to pay before the session: what they are asked for already, if that is so."""
        return self.request or Renewal(
            reason=RenewalReason.HOLD_LAPSED if self.hold_lapsed else RenewalReason.HOLD_TOO_SHORT,
            amount=terms.price,
            page=self.pages + 1,
            pay_by=self._pay_by(terms, hold_ends_at, approve_by, now),
        )

    def late(self, terms: BookingTerms, kept: Money, now: datetime) -> Renewal | None:
        """What the student has to pay for a session whose hold ended before it was settled."""
        if not self.hold_lapsed or not kept:
            return None
        window = terms.policy.deadlines.late_payment_window
        return Renewal(
            reason=RenewalReason.HOLD_LAPSED, amount=kept, pay_by=now + window, page=self.pages + 1, is_final=True
        )

    def move(self, terms: BookingTerms, hold_ends_at: datetime, approve_by: datetime | None, now: datetime) -> None:
        """The session was moved, and with it the deadline to pay."""
        if self.request:
            self.request = self.request.until(self._pay_by(terms, hold_ends_at, approve_by, now))

    def end(self) -> None:
        self.request, self.hold_lapsed = None, False

    def ref(self, first: PaymentRef) -> PaymentRef:
        """The payment that is made again, in place of the `first`."""
        return first.model_copy(
            update={
                "plan": PaymentPlan.CHARGE_THEN_TRANSFER,
                "checkout_session_id": self.open_request.checkout_session_id,
                "payment_intent_id": None,
                "is_renewal": True,
            }
        )

    def checkout(self, first: Checkout | None) -> Checkout | None:
        """The page on which the student has paid, in place of the `first`."""
        request = self.open_request
        if request.checkout_session_id is None or request.page_ends_at is None or first is None:
            return None
        return Checkout(
            checkout_session_id=request.checkout_session_id,
            customer_id=first.customer_id,
            expires_at=request.page_ends_at,
        )

    def _pay_by(
        self, terms: BookingTerms, hold_ends_at: datetime, approve_by: datetime | None, now: datetime
    ) -> datetime:
        ends_at = None if self.hold_lapsed else hold_ends_at
        pay_by = policy.renewal_deadline(terms.policy.deadlines, now, terms.starts_at, ends_at)
        return min(pay_by, approve_by) if approve_by else pay_by
