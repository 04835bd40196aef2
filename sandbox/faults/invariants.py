"""What must be true of a booking once it has ended, whatever failed on the way. Each line yielded is a violation.

The expectations come from the domain: what was promised to the student, the instructor and the platform.
"""

from collections.abc import Callable, Iterator
from typing import Final

import stripe

from models.domain.endings import EndReason
from models.domain.ledger import Account
from models.domain.money import Money
from models.domain.notifications import NotificationKind as Mail
from models.domain.policy import split
from models.domain.states import HOLDS_SLOT, BookingStatus, PaymentStatus, is_allowed
from sandbox.faults.books import Books
from sandbox.faults.plays import Played

Invariant = Callable[[Played, Books], Iterator[str]]


def authorized_is_captured_released_or_held(play: Played, books: Books) -> Iterator[str]:
    """Otherwise a part of the student's money is nowhere in our books."""
    if (on_hold := books.ledger[Account.CARD_HOLDS]) != books.held_minor:
        yield f"the ledger has {on_hold} on the student's card, and Stripe {books.held_minor}"
    payment = books.payment
    if payment is None:
        if any(isinstance(intent.latest_charge, stripe.Charge) for intent in books.intents):
            yield "Stripe has a charge, and there is no payment in Postgres"
        return
    is_held = payment.status in (PaymentStatus.PENDING, PaymentStatus.FAILED)
    if not is_held and payment.amount_minor != payment.captured_minor + payment.returned_minor:
        yield f"of {payment.amount_minor}, {payment.captured_minor} are captured and {payment.returned_minor} returned"
    if (captured := books.figures.student_paid_minor) != payment.captured_minor and not is_held:
        yield f"the student has paid {captured} at Stripe, and {payment.captured_minor} in Postgres"


def captured_is_share_fee_and_refund(play: Played, books: Books) -> Iterator[str]:
    """Otherwise the instructor or the platform has something that is not theirs."""
    figures, payment = books.figures, books.payment
    if books.row is None or payment is None or payment.status is PaymentStatus.PENDING:
        return
    paid = Money(amount_minor=figures.student_paid_minor, currency=payment.currency)
    share = split(paid, books.row.terms.policy).instructor_payout.amount_minor
    if figures.instructor_received_minor != share:
        yield f"of {paid.amount_minor}, the instructor has {figures.instructor_received_minor} instead of {share}"
    if figures.platform_kept_minor != payment.platform_fee_minor - payment.platform_loss_minor:
        yield f"the platform has {figures.platform_kept_minor} at Stripe, and {payment.platform_fee_minor} in Postgres"


def paid_only_for_what_took_place(play: Played, books: Books) -> Iterator[str]:
    """Otherwise a student has paid on nobody's word, or before the session began."""
    if not books.figures.instructor_received_minor:
        return
    row = books.row
    if row is None:
        yield "the instructor was paid for a booking that was never paid"
        return
    said = {answer.request for answer in play.answers}
    believed = _BELIEVED.get(row.end_reason, set()) if row.end_reason else set()
    if play.is_terminated:
        believed = set().union(*_BELIEVED.values())
    if not said & believed:
        yield f"the instructor was paid for a booking that ended as {row.end_reason}, and nobody said so"
    if row.end_reason is EndReason.COMPLETED and row.updated_at < row.starts_at:
        yield "the session was completed before it began"


def each_movement_happens_once(play: Played, books: Books) -> Iterator[str]:
    """Otherwise the student pays twice, or the instructor is paid twice."""
    if books.payment and books.figures.student_paid_minor > books.payment.amount_minor:
        yield f"the student has paid {books.figures.student_paid_minor} for {books.payment.amount_minor}"
    renewals = sum(event.action == "booking.payment_renewal_requested" for event in books.audit)
    secured = [intent for intent in books.intents if isinstance(intent.latest_charge, stripe.Charge)]
    ordered = {answer.key for answer in play.answers if answer.request in _REFUNDS}
    for what, count, allowed in (
        ("payments", len(secured), 1 + renewals),
        ("Checkout pages", len(books.pages), 1 + renewals),
        ("transfers", len(books.transfers), 1),
        # One may belong to the booking's end.
        ("refunds", len(books.refunds), 1 + len(ordered)),
    ):
        if count > allowed:
            yield f"there are {count} {what} at Stripe, where there may be {allowed}"


def success_is_kept(play: Played, books: Books) -> Iterator[str]:
    """Otherwise somebody was told of something that was undone behind their back, or never was."""
    row = books.row
    for answer in play.answers:
        status = answer.body.get("status")
        if not answer.is_success or not isinstance(status, str) or status not in set(BookingStatus):
            continue
        told = BookingStatus(status)
        if row is None and told is not BookingStatus.PENDING:
            yield f"'{answer.request}' was answered with {told}, and the booking is deleted"
        if row is not None and not _is_reachable(told, row.status):
            yield f"'{answer.request}' was answered with {told}, and the booking is {row.status}"
    missing = {request: action for request, action in _RECORDED_AS.items() if action not in books.actions}
    for answer in play.answers:
        # Of a confirmation whose money cannot be moved yet, the answer says that the booking is still accepted.
        is_under_way = answer.request == "student confirm" and answer.body.get("status") == BookingStatus.ACCEPTED
        if answer.status == 200 and answer.request in missing and not is_under_way:
            yield f"'{answer.request}' succeeded, and there is no {missing[answer.request]}"


def failure_is_no_lie(play: Played, books: Books) -> Iterator[str]:
    """Otherwise somebody is told that a request had no effect, and it had."""
    for answer in play.answers:
        if answer.status == 500:
            yield f"'{answer.request}' was answered with 500"
    for request, action in _RECORDED_AS.items():
        if action == "booking.reserved" and books.row is None:
            # Refused after all: the payment could not be started.
            continue
        told = [answer for answer in play.answers if answer.request == request]
        is_recorded = any(event.action == action and request.startswith(event.actor_role) for event in books.audit)
        if told and is_recorded and all(answer.is_definite and not answer.is_success for answer in told):
            yield f"'{request}' was refused every time, and there is {action}"


def hold_has_an_open_workflow(play: Played, books: Books) -> Iterator[str]:
    """Otherwise nobody will ever release the money."""
    if books.held_minor and not books.is_open:
        yield f"{books.held_minor} are held, and no workflow is open"
    if any(page.status == "open" for page in books.pages) and not books.is_open:
        yield "the Checkout page can still be paid, and no workflow is open"


def row_is_as_its_workflow(play: Played, books: Books) -> Iterator[str]:
    """Otherwise people and operators are shown something else than what will happen."""
    row, workflow = books.row, books.workflow
    if workflow is None:
        if row is not None or books.audit:
            yield "there is a booking and no workflow"
        return
    if books.is_open:
        if row is not None and row.status not in HOLDS_SLOT:
            yield f"the workflow is open, and the booking is {row.status}"
        return
    if row is not None and row.status in HOLDS_SLOT:
        yield f"the workflow is closed, and the booking is {row.status}"
    if workflow.is_terminated:
        # It shows what it had last, and the orphans' sweep ended the booking.
        return
    if workflow.shown != (row.status if row else None):
        yield f"Temporal shows {workflow.shown}, and the booking is {row.status if row else 'deleted'}"


def each_mail_is_sent_once_and_true(play: Played, books: Books) -> Iterator[str]:
    """Otherwise people are told nothing, twice, or what did not happen."""
    for mail in books.outbox:
        if mail.gave_up_at is not None and mail.last_error != "out_of_date":
            yield f"the mail {mail.kind} to the {mail.recipient_role} is given up: {mail.last_error}"
        elif mail.sent_at is not None and not books.mails[str(mail.id)]:
            yield f"the mail {mail.kind} to the {mail.recipient_role} counts as sent, and never arrived"
        if books.mails[str(mail.id)] > play.copies:
            yield f"the mail {mail.kind} to the {mail.recipient_role} arrived {books.mails[str(mail.id)]} times"
    sent = {mail.kind for mail in books.outbox}
    for kind, action in _TOLD_AS.items():
        if (kind in sent) != (action in books.actions):
            yield f"mails {kind}: {kind in sent}, audit event {action}: {action in books.actions}"


_BELIEVED: Final = {
    EndReason.COMPLETED: {"student confirm", "instructor complete"},
    EndReason.CANCELLED: {"student cancel"},
    EndReason.STUDENT_ABSENT: {"instructor no-show"},
    EndReason.NO_SHOW_REFUTED: {"instructor no-show", "student no-show"},
    EndReason.SETTLED_BY_OPERATOR: {"operator settle"},
    EndReason.REFUNDED_BY_OPERATOR: {"operator refund"},
}
"""Who has to have said so, for the instructor to be paid."""
_REFUNDS: Final = {"operator refund", "dashboard refund"}
_RECORDED_AS: Final = {
    "student bookings": "booking.reserved",
    "instructor approve": "booking.accepted",
    "instructor reject": "booking.rejected",
    "instructor accept": "booking.rescheduled",
    "student confirm": "booking.completed",
}
_TOLD_AS: Final = {
    Mail.BOOKING_RECEIVED: "booking.authorized",
    Mail.APPROVED: "booking.accepted",
    Mail.REJECTED: "booking.rejected",
    Mail.EXPIRED: "booking.expired",
    Mail.UNPAID: "booking.deleted",
    Mail.CANCELLED: "booking.cancelled",
    Mail.COMPLETED: "booking.completed",
    Mail.NO_SHOW: "booking.no_show",
}

INVARIANTS: Final[tuple[Invariant, ...]] = (
    authorized_is_captured_released_or_held,
    captured_is_share_fee_and_refund,
    paid_only_for_what_took_place,
    each_movement_happens_once,
    success_is_kept,
    failure_is_no_lie,
    hold_has_an_open_workflow,
    row_is_as_its_workflow,
    each_mail_is_sent_once_and_true,
)


def violations(play: Played, books: Books) -> list[str]:
    """Each with what its people were told."""
    found = [f"{check.__name__}: {violation}" for check in INVARIANTS for violation in check(play, books)]
    told = ", ".join(f"{answer.request} {answer.status}" for answer in play.answers)
    return [f"{violation} ({told})" for violation in found]


def _is_reachable(start: BookingStatus, to: BookingStatus) -> bool:
    if start is to:
        return True
    return any(is_allowed(start, status) and _is_reachable(status, to) for status in BookingStatus)
