"""A booking's story: its audit trail in sentences."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache

from models.domain.actors import Role
from models.languages import LANGUAGES, Language
from models.tables.audit import AuditEvent


def sentence(action: str, language: Language) -> str | None:
    """`None` for a step that means nothing to either side."""
    return _texts(language.code).get(action)


def told(events: Iterable[AuditEvent], language: Language) -> list[tuple[datetime, str]]:
    """Oldest first. Steps that mean nothing to either side are left out."""
    pairs = ((event, sentence(event.action, language)) for event in events)
    return [(event.at, f"{text} {_by(event, language)}".rstrip()) for event, text in pairs if text]


def _by(event: AuditEvent, language: Language) -> str:
    """Who did it, where the sentence leaves it open."""
    if event.action != "booking.cancelled":
        return ""
    say = language.gettext
    return {
        Role.STUDENT: say("The student cancelled."),
        Role.INSTRUCTOR: say("The instructor cancelled."),
        Role.OPERATOR: say("Our staff cancelled."),
    }.get(event.actor_role, "")


@cache
def _texts(code: str) -> Mapping[str, str]:
    say = LANGUAGES[code].gettext
    texts = {
        "reserved": say("The time was reserved."),
        "checkout_opened": say("The payment page was opened."),
        "payment_processing": say("The student paid. The bank is processing it."),
        "authorized": say("The payment was secured, and the instructor was asked."),
        "accepted": say("The instructor confirmed the booking."),
        "rejected": say("The instructor declined the request."),
        "expired": say("The instructor did not answer in time."),
        "cancelled": say("The booking was cancelled."),
        "completed": say("The booking was completed."),
        "no_show": say("The booking ended as not attended."),
        "completion_reported": say("The instructor reported that the session took place."),
        "completion_objected": say("The student objected to that."),
        "no_show_reported": say("One side reported that the other did not come."),
        "no_show_contested": say("The report of an absence was contested."),
        "session_judged": say("The meeting's record was judged."),
        "extended": say("Our staff moved the deadline."),
        "reschedule_proposed": say("Another time was proposed."),
        "reschedule_declined": say("The other time was declined."),
        "reschedule_withdrawn": say("The proposal of another time was withdrawn."),
        "rescheduled": say("The session was moved to another time."),
        "hold_lapsed": say("The hold on the card ended."),
        "payment_renewal_requested": say("The student was asked to pay again."),
        "payment_renewed": say("The student paid again."),
        "refunded": say("A refund was made."),
        "refund_arrived": say("The refund arrived."),
        "refund_failed": say("A refund failed."),
        "dispute_opened": say("The cardholder's bank disputed the payment."),
        "dispute_won": say("The dispute was decided in favor of the instructor."),
        "dispute_lost": say("The dispute was decided in favor of the cardholder."),
        "recording_kept": say("A recording of the meeting was kept."),
    }
    return {f"booking.{action}": text for action, text in texts.items()}
