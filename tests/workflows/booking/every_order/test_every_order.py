"""No order of events, of those that `world.py` can play, leads a booking to where the domain says that none may go.

`HOLDFAST_DISTURBANCES=1` adds all histories with a disturbance: minutes instead of seconds.
"""

import logging
import os
from collections.abc import Iterator

import pytest

from models.domain.policy import CompletionTimeoutPolicy, PaymentPlan
from tests.workflows.booking.every_order.invariants import check, check_end
from tests.workflows.booking.every_order.people import UPDATES
from tests.workflows.booking.every_order.search import Failed, Search
from tests.workflows.booking.every_order.without_a_rule import WITHOUT_A_RULE
from tests.workflows.booking.every_order.world import World
from tests.workflows.booking.states import DECISIONS
from workflows.booking.decisions import Decisions

SETTLE, RELEASE = CompletionTimeoutPolicy.SETTLE, CompletionTimeoutPolicy.RELEASE
DISTURBANCES = int(os.environ.get("HOLDFAST_DISTURBANCES", "0"))

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
