"""No order of events, of those that `world.py` can play, leads a booking to where the domain says that none may go.

The invariants are the domain's words about money and about who is believed, said of what happened, not of the code.
`HOLDFAST_DISTURBANCES=1` adds all histories with a disturbance: minutes instead of seconds.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from models.domain.endings import Ending, EndReason
from models.domain.notifications import Recipient, notifications_for
from models.domain.payments import HoldPhase
from models.domain.policy import CompletionTimeoutPolicy, PaymentPlan
from models.domain.states import BookingStatus
from tests.workflows.booking.every_order.people import DEADLINES, LONG_ENOUGH, UPDATES
from tests.workflows.booking.every_order.search import Failed, Search
from tests.workflows.booking.every_order.without_a_rule import WITHOUT_A_RULE
from tests.workflows.booking.every_order.world import World
from tests.workflows.booking.states import DECISIONS
from workflows.booking.decisions import Decisions

SETTLE, RELEASE = CompletionTimeoutPolicy.SETTLE, CompletionTimeoutPolicy.RELEASE
DISTURBANCES = int(os.environ.get("HOLDFAST_DISTURBANCES", "0"))
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


# In a busy suite, and with disturbances.
pytestmark = pytest.mark.timeout(7_200 if DISTURBANCES else 600)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The workflow logs what it ignores."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    ("plan", "on_timeout"), [(PaymentPlan.HOLD, SETTLE), (PaymentPlan.CHARGE_THEN_TRANSFER, RELEASE)]
)
def test_no_order_of_events_breaks_an_invariant(
    plan: PaymentPlan, on_timeout: CompletionTimeoutPolicy, capsys: pytest.CaptureFixture[str]
) -> None:
    search = Search(plan, on_timeout, check, disturbances=DISTURBANCES)
    search.run()
    with capsys.disabled():
        print(f"\n{len(search.found):,} states of a booking under {plan}, with {DISTURBANCES} disturbances at most")
    assert len(search.found) > 2_000


@pytest.mark.parametrize("rules", WITHOUT_A_RULE, ids=lambda rules: rules.__name__)
def test_it_shows_when_a_rule_of_who_is_believed_is_taken_out(rules: type[Decisions]) -> None:
    beside_the_point = frozenset(
        {"reject", "the instructor cancels", "an operator cancels", "release", "refund", "retry"}
    )
    with pytest.raises(Failed, match="on whose word"):
        Search(PaymentPlan.HOLD, SETTLE, check, rules, unsent=frozenset(beside_the_point)).run()


@pytest.mark.parametrize("plan", PaymentPlan)
@pytest.mark.parametrize("first", ["the instructor cancels", "settle with a reason", "refund with a reason", "release"])
def test_a_second_decision_while_the_money_moves_is_refused(plan: PaymentPlan, first: str) -> None:
    refuses_a_second_decision(World(plan, SETTLE), "pay", "approve", f"slow step, {first}")


def test_a_second_decision_while_the_page_of_a_renewal_is_closed_is_refused() -> None:
    """Only a late payment leaves an operator a choice, and this one was due before a session that is cancelled."""
    world = World(PaymentPlan.HOLD, SETTLE)
    refuses_a_second_decision(world, "pay with a short hold", "approve", "slow step, the student cancels")


def refuses_a_second_decision(world: World, *moves: str) -> None:
    for move in moves:
        assert world.play(move)
    assert [call.name for call in world.instance.calls] in (["release_payment"], ["settle_payment"])
    others = {name: (name, DECISIONS[name]) for name in ("extend", "reschedule")}
    for id, (name, decision) in (UPDATES | others).items():
        assert not world.instance.update(name, decision, f"second: {id}", world.now), id
        assert f"second: {id}" not in world.instance.accepted, "it is in the history"
        refused = world.instance.refused or ""
        assert "is being carried out" in refused or "to decide, not for" in refused, refused
    assert world.play("answer")
    check_end(world)
    world.close()
