"""Messages from before a field was added claim nothing by it."""

from datetime import UTC, datetime
from uuid import uuid4

from models.domain.actors import Actor, Role
from models.domain.messages import BookingView, Cancel, Complete, ReserveSlot, Settle, SettleAndRefund
from tests.models.domain.posted import terms_of, usd

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OPERATOR = Actor(role=Role.OPERATOR, id=uuid4())


def test_a_decision_without_a_reason_or_a_claim_has_none() -> None:
    assert not Settle(actor=OPERATOR).has_reason
    assert not SettleAndRefund(actor=OPERATOR, amount=usd(1)).has_reason
    assert not Complete(actor=OPERATOR).record_is_enough
    assert not Cancel(actor=OPERATOR).is_fraudulent


def test_an_order_is_a_new_one_that_may_overlap_no_other_session() -> None:
    order = ReserveSlot(terms=terms_of(usd(100)), booked_at=NOW, checkout_deadline_at=NOW)
    assert (order.allow_overlap, order.is_reset) == (False, False)


def test_a_booking_needs_attention_only_if_it_says_so() -> None:
    assert not BookingView(booking_status=None).needs_attention
