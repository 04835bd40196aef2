"""The audit trail for operators: every step of a booking in words, with its reason, amounts and times."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from api.bookings.trace import TracedEvent
from api.pages import stories
from api.pages.page import Page
from api.pages.standing import why_it_ended
from models.domain.actors import Role
from models.domain.endings import EndReason
from models.domain.messages import Channel
from models.domain.money import Money
from models.domain.renewals import RenewalReason
from models.domain.session_reports import Verdict
from models.languages import LANGUAGES, Language

_TIMES = ("deadline_at", "until", "pay_by", "starts_at")


class Step(NamedTuple):
    at: datetime
    by: Role
    text: str
    channel: str
    """Empty for the usual one."""
    details: list[str]


def steps(events: Iterable[TracedEvent], page: Page, currency: str) -> list[Step]:
    """Earliest first. `currency` is the booking's, in which the details have amounts without one."""
    return [
        Step(
            event.at,
            event.by,
            action(event.action, page.language),
            _channels(page.language.code).get(event.channel, ""),
            list(_details(event, page, currency)),
        )
        for event in events
    ]


def action(name: str, language: Language) -> str:
    """An action of an earlier version stays a code."""
    return stories.sentence(name, language) or _texts(language.code).get(name, name)


def dispute_reason(code: str, language: Language) -> str:
    """Why the cardholder disputes a charge (Stripe, "Dispute reason codes")."""
    return _dispute_reasons(language.code).get(code, code)


def _details(event: TracedEvent, page: Page, currency: str) -> Iterator[str]:
    detail, say = event.detail, page.say
    if reason := detail.get("reason"):
        yield _reason(event.action, str(reason), page)
    if verdict := detail.get("verdict"):
        yield _verdicts(page.language.code).get(verdict, str(verdict))
    currency = str(detail.get("currency", currency))
    if (kept := detail.get("kept_minor")) is not None:
        yield say("%(amount)s of the price is kept.", amount=_money(kept, currency, page))
    if (amount := detail.get("amount_minor")) is not None:
        yield _money(amount, currency, page)
    for name in _TIMES:
        if at := detail.get(name):
            yield page.language.moment(datetime.fromisoformat(str(at)), page.zone)


def _money(amount_minor: Any, currency: str, page: Page) -> str:
    return page.language.money(Money(amount_minor=int(amount_minor), currency=currency))


def _reason(action: str, reason: str, page: Page) -> str:
    """A code or a sentence of the domain in words; what an operator has written as it is."""
    if action.startswith("booking.dispute_"):
        return dispute_reason(reason, page.language)
    if action in ("booking.needs_attention", "booking.signal_refused"):
        return page.retold(reason)
    if reason in list(EndReason):
        return _unpaid(page.language.code).get(reason) or why_it_ended(EndReason(reason), page.language)
    return _unpaid(page.language.code).get(reason, reason)


@cache
def _texts(code: str) -> Mapping[str, str]:
    """Of the steps that the two sides do not see."""
    say = LANGUAGES[code].gettext
    texts = {
        "deleted": say("The booking was not paid, and was deleted."),
        "needs_attention": say("The booking needs a decision."),
        "attention_cleared": say("The booking no longer needs a decision."),
        "signal_refused": say("A message that was sent in Temporal was refused."),
        "objection_reason_kept": say("The student's reason was kept."),
        "rejection_reason_kept": say("The instructor's reason was kept."),
        "settlement_reason_kept": say("The reason for settling before the end was kept."),
        "adjustment_reason_kept": say("The reason for an adjustment was kept."),
        "adjusted": say("The ledger was adjusted to what Stripe has."),
        "refund_ordered": say("A refund was ordered."),
        "refund_retried": say("A failed refund was ordered again."),
        "refund_refused": say("Stripe refused a refund."),
        "fraud_warning": say("The card's bank warned of fraud."),
        "fraud_warning_dismissed": say("The warning of fraud was dismissed."),
        "dispute_answered": say("The evidence was sent to the bank."),
        "dispute_closed": say("The bank's inquiry came to nothing."),
        "dispute_taken_over": say("An operator answers the dispute in Stripe's Dashboard."),
        "dispute_evidence_ordered": say("An operator had the evidence sent."),
        "dispute_accepted": say("An operator accepted the dispute."),
    }
    return {f"booking.{name}": text for name, text in texts.items()}


@cache
def _channels(code: str) -> Mapping[str, str]:
    say = LANGUAGES[code].gettext
    return {
        Channel.SERVICE: say("by a program with a service token"),
        Channel.AGENT: say("by an agent"),
        Channel.TEMPORAL: say("in Temporal"),
        Channel.STRIPE: say("at Stripe"),
        Channel.COMMAND: say("by a command on the server"),
    }


@cache
def _verdicts(code: str) -> Mapping[str, str]:
    say = LANGUAGES[code].gettext
    return {
        Verdict.TOOK_PLACE: say("Both were there together for long enough."),
        Verdict.CUT_SHORT: say("Both were there together, but not for long enough."),
        Verdict.APART: say("Both came, but were not there at the same time."),
        Verdict.STUDENT_ABSENT: say("The instructor waited, and the student never came."),
        Verdict.WAIT_TOO_SHORT: say("Only the instructor came, and did not wait for long enough."),
        Verdict.INSTRUCTOR_ABSENT: say("Only the student came."),
        Verdict.NOTHING_RECORDED: say("Nobody was recorded in the meeting."),
    }


@cache
def _unpaid(code: str) -> Mapping[str, str]:
    """Why a payment was not secured, or has to be made again."""
    say = LANGUAGES[code].gettext
    return {
        EndReason.CHECKOUT_EXPIRED: say("The booking was not paid in time."),
        EndReason.CARD_DECLINED: say("The student's bank declined the payment."),
        EndReason.HOLD_TOO_SHORT: say("The card cannot hold the amount until the session."),
        EndReason.CHECKOUT_REFUSED: say("Stripe refused to start the payment."),
        RenewalReason.HOLD_LAPSED: say("The hold on the card ended before the booking was settled."),
    }


@cache
def _dispute_reasons(code: str) -> Mapping[str, str]:
    say = LANGUAGES[code].gettext
    return {
        "credit_not_processed": say("A promised refund did not arrive."),
        "duplicate": say("The same was charged twice."),
        "fraudulent": say("The cardholder did not make the payment."),
        "general": say("The bank gave no particular reason."),
        "product_not_received": say("The session did not take place."),
        "product_unacceptable": say("The session was not as described."),
        "subscription_canceled": say("The booking had been cancelled."),
        "unrecognized": say("The cardholder does not recognize the payment."),
        "noncompliant": say("The payment broke a rule of the card network."),
    }
