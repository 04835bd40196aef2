"""Each invariant holds for a booking that was completed, and is violated once what it is about is not so."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import stripe

from models.domain.actors import PLATFORM, Actor, Role, Subject
from models.domain.endings import EndReason
from models.domain.ledger import Account
from models.domain.messages import Channel
from models.domain.notifications import NotificationKind, Recipient
from models.domain.policy import BookingPolicy, PaymentPlan
from models.domain.states import BookingStatus, PaymentStatus
from models.tables.audit import event_about
from models.tables.bookings import BookingRequest
from models.tables.outbox import OutboxMessage
from models.tables.payments import Payment
from sandbox.demo.figures import Figures
from sandbox.faults.books import Books, Execution
from sandbox.faults.invariants import INVARIANTS, violations
from sandbox.faults.plays import Answer, Played

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ID = uuid4()


def completed() -> Played:
    """Its people have done everything that a completed booking takes."""
    return Played(
        [
            Answer("student bookings", 201, {"status": "PENDING"}),
            Answer("instructor approve", 503, {"status": 503}),
            Answer("instructor approve", 200, {"status": "ACCEPTED"}),
            Answer("student confirm", 200, {"status": "COMPLETED"}),
        ]
    )


def row(**changes: Any) -> BookingRequest:
    values: dict[str, Any] = {
        **{name: uuid4() for name in ("student_id", "instructor_id", "offering_id", "slot_id")},
        "id": ID,
        "title": "Counterpoint",
        "starts_at": NOW - timedelta(hours=1),
        "ends_at": NOW,
        "status": BookingStatus.COMPLETED,
        "plan": PaymentPlan.HOLD,
        "stripe_account_id": "acct_1",
        "price_minor": 10_000,
        "platform_fee_minor": 2_000,
        "currency": "usd",
        "policy": BookingPolicy().model_dump(mode="json"),
        "end_reason": EndReason.COMPLETED,
        "created_at": NOW - timedelta(hours=2),
        "updated_at": NOW,
    }
    return BookingRequest(**values | changes)


def payment(**changes: Any) -> Payment:
    values: dict[str, Any] = {
        "booking_id": ID,
        "plan": PaymentPlan.HOLD,
        "status": PaymentStatus.CAPTURED,
        "amount_minor": 10_000,
        "captured_minor": 10_000,
        "platform_fee_minor": 2_000,
        "currency": "usd",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Payment(**values | changes)


def intent(amount_capturable: int = 0) -> stripe.PaymentIntent:
    charge = {"id": "ch_1", "object": "charge"}
    values = {"id": "pi_1", "object": "payment_intent", "amount_capturable": amount_capturable, "latest_charge": charge}
    return stripe.PaymentIntent.construct_from(values, "sk_test_1")


def page(status: str = "complete") -> stripe.checkout.Session:
    return stripe.checkout.Session.construct_from({"id": "cs_1", "status": status}, "sk_test_1")


def mail(kind: NotificationKind, **changes: Any) -> OutboxMessage:
    values: dict[str, Any] = {
        "id": uuid4(),
        "booking_id": ID,
        "kind": kind,
        "recipient_role": Recipient.STUDENT,
        "recipient_id": uuid4(),
        **{name: NOW for name in ("due_at", "next_attempt_at", "sent_at", "created_at")},
    }
    return OutboxMessage(**values | changes)


MAILS = [
    mail(kind) for kind in (NotificationKind.BOOKING_RECEIVED, NotificationKind.APPROVED, NotificationKind.COMPLETED)
]
ACTIONS = ("reserved", "authorized", "accepted", "completed")
COMPLETED = Books(
    row=row(),
    session=None,
    payment=payment(),
    payout=None,
    audit=[event_about(Subject.BOOKING, ID, f"booking.{action}", PLATFORM, Channel.API, NOW) for action in ACTIONS],
    outbox=MAILS,
    ledger=Counter(),
    intents=[intent()],
    refunds=[],
    pages=[page()],
    transfers=[stripe.Transfer.construct_from({"id": "tr_1"}, "sk_test_1")],
    figures=Figures(10_000, 8_000, 2_000),
    workflow=Execution(is_open=False, is_terminated=False, shown="COMPLETED"),
    mails=Counter(str(each.id) for each in MAILS),
)

BROKEN: dict[str, Callable[[Played], Books]] = {
    "authorized_is_captured_released_or_held/held": lambda _: replace(
        COMPLETED, ledger=Counter({Account.CARD_HOLDS: 10_000})
    ),
    "authorized_is_captured_released_or_held/unrecorded": lambda _: replace(COMPLETED, payment=None),
    "authorized_is_captured_released_or_held/lost": lambda _: replace(COMPLETED, payment=payment(amount_minor=12_000)),
    "captured_is_share_fee_and_refund/share": lambda _: replace(COMPLETED, figures=Figures(10_000, 8_001, 2_000)),
    "captured_is_share_fee_and_refund/fee": lambda _: replace(COMPLETED, figures=Figures(10_000, 8_000, 1_999)),
    "paid_only_for_what_took_place/unsaid": lambda play: _without(play, "student confirm"),
    "paid_only_for_what_took_place/early": lambda _: replace(COMPLETED, row=row(starts_at=NOW + timedelta(hours=1))),
    "each_movement_happens_once/paid": lambda _: replace(
        COMPLETED, payment=payment(amount_minor=5_000, status=PaymentStatus.PENDING)
    ),
    "each_movement_happens_once/payment": lambda _: replace(COMPLETED, intents=[intent(), intent()]),
    "each_movement_happens_once/page": lambda _: replace(COMPLETED, pages=[page(), page()]),
    "each_movement_happens_once/refund": lambda play: _refunded_twice(play),
    "each_movement_happens_once/transfer": lambda _: replace(COMPLETED, transfers=[*COMPLETED.transfers] * 2),
    "success_is_kept/undone": lambda play: _with(play, Answer("instructor cancel", 200, {"status": "CANCELLED"})),
    "success_is_kept/never done": lambda play: _with(play, Answer("instructor reject", 200, {})),
    "failure_is_no_lie/500": lambda play: _with(play, Answer("student cancel", 500, {})),
    "failure_is_no_lie/refused": lambda play: _with(
        play, Answer("instructor accept", 409, {}), action="booking.rescheduled"
    ),
    "hold_has_an_open_workflow/hold": lambda _: replace(
        COMPLETED, intents=[intent(10_000)], ledger=Counter({Account.CARD_HOLDS: 10_000})
    ),
    "hold_has_an_open_workflow/page": lambda _: replace(COMPLETED, pages=[page("open")]),
    "row_is_as_its_workflow/shown": lambda _: replace(
        COMPLETED, workflow=Execution(is_open=False, is_terminated=False, shown="ACCEPTED")
    ),
    "row_is_as_its_workflow/open": lambda _: replace(
        COMPLETED, workflow=Execution(is_open=True, is_terminated=False, shown="COMPLETED")
    ),
    "row_is_as_its_workflow/none": lambda _: replace(COMPLETED, workflow=None),
    "each_mail_is_sent_once_and_true/lost": lambda _: replace(COMPLETED, mails=Counter()),
    "each_mail_is_sent_once_and_true/twice": lambda _: replace(COMPLETED, mails=COMPLETED.mails + COMPLETED.mails),
    "each_mail_is_sent_once_and_true/untrue": lambda _: replace(
        COMPLETED, outbox=[*MAILS, mail(NotificationKind.CANCELLED, sent_at=None)]
    ),
}


def _with(play: Played, answer: Answer, action: str | None = None) -> Books:
    play.answers.append(answer)
    instructor = Actor(role=Role.INSTRUCTOR, id=uuid4())
    happened = [event_about(Subject.BOOKING, ID, action, instructor, Channel.API, NOW)] if action else []
    return replace(COMPLETED, audit=[*COMPLETED.audit, *happened])


def _refunded_twice(play: Played) -> Books:
    """By one request that was sent twice, and at the booking's end."""
    play.answers += [Answer("operator refund", status, {}, "key") for status in (503, 200)]
    return replace(COMPLETED, refunds=[stripe.Refund.construct_from({"id": id}, "sk_test_1") for id in "abc"])


def _without(play: Played, request: str) -> Books:
    play.answers = [answer for answer in play.answers if answer.request != request]
    return COMPLETED


def test_completed_booking_violates_nothing() -> None:
    assert violations(completed(), COMPLETED) == []


@pytest.mark.parametrize("what", BROKEN)
def test_broken_booking_violates(what: str) -> None:
    play = completed()
    books = BROKEN[what](play)
    assert {found.partition(":")[0] for found in violations(play, books)} == {what.partition("/")[0]}


def test_every_invariant_is_tested() -> None:
    assert {what.partition("/")[0] for what in BROKEN} == {check.__name__ for check in INVARIANTS}
