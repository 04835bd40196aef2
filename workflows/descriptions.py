"""Texts for Temporal's UI: what each update and signal is for, with an example of its input, and tables of details.

`docs/operations/temporal-ui.md` describes the updates and signals with the same texts.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar
from uuid import UUID

from temporalio import workflow

from models.domain.actors import AbsentParty, Actor, Role
from models.domain.base import Value
from models.domain.disputes import DisputeDecision, DisputeEvent, DisputeResponse
from models.domain.messages import (
    Approve,
    Cancel,
    Complete,
    Confirm,
    ContestNoShow,
    Extend,
    Object,
    PaymentEvent,
    Reject,
    Release,
    ReportNoShow,
    Reschedule,
    Retry,
    Settle,
    SettleAndRefund,
)
from models.domain.money import Money
from models.domain.onboarding import AccountEvent
from models.domain.payouts import PayoutEvent
from models.domain.refunds import RefundEvent, RetryRefund

P = ParamSpec("P")
R = TypeVar("R")

_STUDENT = Actor(role=Role.STUDENT, id=UUID("11111111-1111-4111-8111-111111111111"))
_INSTRUCTOR = Actor(role=Role.INSTRUCTOR, id=UUID("22222222-2222-4222-8222-222222222222"))
_OPERATOR = Actor(role=Role.OPERATOR, id=UUID("33333333-3333-4333-8333-333333333333"))
_SLOT = UUID("44444444-4444-4444-8444-444444444444")
_PROPOSAL = UUID("55555555-5555-4555-8555-555555555555")
_TEN = Money(amount_minor=1_000, currency="usd")
_NOON, _ONE = datetime(2026, 12, 1, 12, tzinfo=UTC), datetime(2026, 12, 1, 13, tzinfo=UTC)
_DAY_BEFORE = datetime(2026, 11, 30, 12, tzinfo=UTC)

_LOOK = "Looks the {} up at Stripe now. Needs no input."
DESCRIBED: Mapping[type[Value], tuple[str, Value]] = {
    Approve: ("The instructor approves the booking.", Approve(actor=_INSTRUCTOR)),
    Reject: ("The instructor rejects the booking: everything goes back to the student.", Reject(actor=_INSTRUCTOR)),
    Complete: ("The instructor reports that the session took place.", Complete(actor=_INSTRUCTOR)),
    Confirm: ("The student confirms that the session took place: it is settled at once.", Confirm(actor=_STUDENT)),
    Object: ("The student objects to a reported completion.", Object(actor=_STUDENT)),
    ReportNoShow: (
        "Either side reports that the other one did not come.",
        ReportNoShow(actor=_STUDENT, absent=AbsentParty.INSTRUCTOR),
    ),
    ContestNoShow: ("Whoever was reported absent says that they were there.", ContestNoShow(actor=_INSTRUCTOR)),
    Cancel: (
        "Either side or an operator cancels. What goes back depends on who does, by policy.",
        Cancel(actor=_STUDENT),
    ),
    Settle: ("An operator settles: the instructor gets the whole share.", Settle(actor=_OPERATOR, has_reason=True)),
    Release: ("An operator releases: everything goes back to the student.", Release(actor=_OPERATOR)),
    SettleAndRefund: (
        "An operator returns a part to the student and settles the rest.",
        SettleAndRefund(actor=_OPERATOR, amount=_TEN, has_reason=True),
    ),
    Extend: ("An operator moves the deadline that the booking waits for.", Extend(actor=_OPERATOR, until=_NOON)),
    Reschedule: (
        "Both sides have agreed on another slot. Sent by the API when a proposal is accepted, and refused without one.",
        Reschedule(
            actor=_STUDENT,
            proposal_id=_PROPOSAL,
            slot_id=_SLOT,
            starts_at=_NOON,
            ends_at=_ONE,
            from_starts_at=_DAY_BEFORE,
        ),
    ),
    Retry: ("An operator has the failed step of a parked booking tried again.", Retry(actor=_OPERATOR)),
    PaymentEvent: (
        _LOOK.format("payment"),
        PaymentEvent(event_id="evt_1", type="payment_intent.amount_capturable_updated"),
    ),
    RefundEvent: (_LOOK.format("refund"), RefundEvent(event_id="evt_1", type="refund.updated")),
    RetryRefund: ("An operator has a failed refund tried again.", RetryRefund(actor=_OPERATOR)),
    DisputeEvent: (_LOOK.format("dispute"), DisputeEvent(event_id="evt_1", type="charge.dispute.updated")),
    DisputeDecision: (
        "An operator decides how the dispute is answered.",
        DisputeDecision(actor=_OPERATOR, answer=DisputeResponse.EVIDENCE),
    ),
    PayoutEvent: (_LOOK.format("payout"), PayoutEvent(event_id="evt_1", type="payout.paid")),
    AccountEvent: (_LOOK.format("account"), AccountEvent(event_id="evt_1", type="v2.core.account.updated")),
}


def table(rows: Mapping[str, str | None]) -> str:
    """A table in Markdown, without the rows that are empty."""
    lines = [f"| **{name}** | {_in_cell(text)} |" for name, text in rows.items() if text]
    return "\n".join(["| Booking | |", "| --- | --- |", *lines])


def _in_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def describe(message: type[Value]) -> str:
    text, example = DESCRIBED[message]
    return f"{text} Example: {example.model_dump_json(exclude_unset=True)}"


def described_update(
    message: type[Value],
) -> Callable[[Callable[P, Awaitable[R]]], workflow.UpdateMethodMultiParam[P, R]]:
    """The SDK's decorator, whose types do not fit a coroutine once it has arguments."""
    return workflow.update(description=describe(message))  # type: ignore[return-value]
