"""The invariants: the domain's words about money and about who is believed, said of what happened, not of the code."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from models.domain.endings import Ending, EndReason
from models.domain.notifications import Recipient, notifications_for
from models.domain.payments import HoldPhase
from models.domain.states import BookingStatus
from tests.workflows.booking.every_order.people import DEADLINES, LONG_ENOUGH
from tests.workflows.booking.every_order.world import World

CANCELLATIONS = ("the instructor cancels", "an operator cancels", "cancel the workflow")
# What the record shows clearly; of the others, only the last contradicts nobody.
BOTH_CAME, NOT_THE_STUDENT, NOT_THE_INSTRUCTOR = "both came", "only the instructor came", "only the student came"
NOTHING = "nothing recorded"


def check(world: World) -> None:
    captures = sum(page.captures for page in world.stripe.pages.values())
    assert captures <= 1, "two captures"
    assert world.how or len(world.stripe.having(HoldPhase.HELD)) <= 1, "two holds"
    if world.instance.is_finished:
        check_end(world)


def check_end(world: World) -> None:
    left = world.stripe.having(HoldPhase.OPEN) + world.stripe.having(HoldPhase.HELD)
    assert not left, "a hold is left"
    assert len(world.endings) == 1, "it ended more than once, or never"
    assert not world.instance.unanswered, "somebody waits for an answer"
    ending, view = world.endings[0].ending, world.state.view
    kept_minor = sum(page.kept_minor for page in world.stripe.pages.values())
    assert kept_minor == ending.split.kept.amount_minor, "not what was due"
    assert (view.booking_status, view.end_reason) == (ending.booking, ending.reason)
    before = BookingStatus.ACCEPTED if view.session_status else BookingStatus.PENDING
    told = {each.recipient for each in notifications_for(before, ending.booking)}
    assert Recipient.STUDENT in told, "the student does not learn how it ended"
    assert Told(world).believed(ending), f"{ending.reason}, {ending.split.kept.format()} kept: on whose word?"


@dataclass
class Told:
    """What a booking's end can be founded on: who said what, when, and what was recorded."""

    world: World

    def said(self, move: str, since: datetime | None = None) -> bool:
        at = self.world.said.get(move)
        return at is not None and (since is None or at >= since)

    def unanswered(self, move: str, window: timedelta, since: datetime) -> bool:
        """The other side had the whole window, or as long as the money was held."""
        if not self.said(move, since):
            return False
        until = self.world.said[move] + window
        lapses = [page.hold_ends_at for page in self.world.stripe.pages.values() if page.hold_ends_at]
        return self.ended_at >= min([until, *(each - DEADLINES.hold_margin for each in lapses)])

    @property
    def ended_at(self) -> datetime:
        return self.world.endings[0].at

    def believed(self, ending: Ending) -> bool:
        terms, record = self.world.state.terms, self.world.record or NOTHING
        is_over, waited = self.ended_at >= terms.ends_at, terms.starts_at + LONG_ENOUGH
        contested = self.said("the student contests") or self.said("the instructor contests")
        match ending.reason:
            case EndReason.COMPLETED:
                completes = any(
                    self.unanswered(move, DEADLINES.objection_window, since)
                    for move, since in (
                        ("the instructor completes", terms.ends_at),
                        ("the instructor completes early", terms.starts_at),
                    )
                )
                is_on_word = completes and is_over and not self.said("the student objects")
                return (
                    self.said("the student confirms", terms.starts_at)
                    or record == BOTH_CAME
                    or (is_on_word and record in (NOTHING, "together too short"))
                )
            case EndReason.NO_SHOW_REFUTED:
                return is_over and record == BOTH_CAME
            case EndReason.STUDENT_ABSENT:
                says = "instructor: the student did not come"
                is_on_word = self.unanswered(says, DEADLINES.contest_window, waited) and not contested and is_over
                return (
                    (is_over and record == NOT_THE_STUDENT)
                    or self.said("operator: the student did not come", terms.starts_at)
                    or (is_on_word and record in (NOTHING, "the instructor left early"))
                )
            case EndReason.INSTRUCTOR_ABSENT:
                says = "student: the instructor did not come"
                is_on_word = self.unanswered(says, DEADLINES.contest_window, waited) and not contested and is_over
                return (
                    (is_over and record == NOT_THE_INSTRUCTOR)
                    or self.said("operator: the instructor did not come", terms.starts_at)
                    or (is_on_word and record == NOTHING)
                )
            case EndReason.COMPLETION_TIMEOUT:
                return is_over and (not ending.split.kept or record not in (NOT_THE_STUDENT, NOT_THE_INSTRUCTOR))
            case EndReason.CANCELLED if ending.split.kept:
                cancelled = self.world.said.get("the student cancels", terms.starts_at)
                return cancelled < terms.starts_at or self.said("student: the student did not come", terms.starts_at)
            case EndReason.CANCELLED:
                by_either = (*CANCELLATIONS, "the student cancels", "instructor: the instructor did not come")
                return any(map(self.said, by_either))
            case EndReason.SETTLED_BY_OPERATOR | EndReason.REFUNDED_BY_OPERATOR:
                verb = "settle" if ending.reason is EndReason.SETTLED_BY_OPERATOR else "refund"
                return self.said(f"{verb} with a reason") or self.said(verb, terms.ends_at)
            case EndReason.RELEASED_BY_OPERATOR:
                return self.said("release")
            case EndReason.REJECTED:
                return self.said("reject")
        return not ending.split.kept
