"""Checks that a run stayed within the budget."""

from dataclasses import dataclass
from statistics import median

from bench.budget import MAX_ACTIONS, MAX_EVENTS, MAX_GREEDY_RATIO, MAX_RECOVERY_SECONDS, MAX_STRIPE_MUTATIONS
from bench.greedy import STEPS, Greedy
from bench.recovery import Recovery
from bench.throughput import Throughput


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    detail: str


def of_throughput(run: Throughput) -> list[Check]:
    return [
        _at_most("history events of a booking", max(cost.events for cost in run.holdfast_histories), MAX_EVENTS),
        _at_most("billable actions of a booking", max(cost.actions for cost in run.holdfast_histories), MAX_ACTIONS),
        _at_most("Stripe calls that change something, a booking", run.stripe_mutations, MAX_STRIPE_MUTATIONS),
    ]


def of_recovery(run: Recovery) -> list[Check]:
    name = "seconds until a waiting booking goes on (median)"
    return [_at_most(name, round(median(run.waiting), 2), MAX_RECOVERY_SECONDS)]


def of_greedy(run: Greedy) -> list[Check]:
    return [_at_most(f"p99 of a {step}, greedy / quiet", round(run.ratio(step), 2), MAX_GREEDY_RATIO) for step in STEPS]


def _at_most(name: str, measured: float, most: float) -> Check:
    return Check(name, measured <= most, f"{measured:g}, at most {most:g}")
