"""Checks that a run stayed within the budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.budget import (
    MAX_ACTIONS,
    MAX_EVENTS,
    MAX_GREEDY_RATIO,
    MAX_PAGE_RATIO,
    MAX_RECOVERY_SECONDS,
    MAX_STRIPE_MUTATIONS,
    MAX_WAITING_RATIO,
)
from bench.greedy import STEPS, Greedy
from bench.pages import Pages
from bench.recovery import Recovery
from bench.throughput import Throughput
from bench.waiting import Waiting


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


def of_waiting(run: Sequence[Waiting]) -> list[Check]:
    few, many = run[0], run[-1]
    return [
        _at_most("the worker's memory, many / few", many.worker_megabytes / few.worker_megabytes, MAX_WAITING_RATIO),
        _at_most(
            "CPU of the worker to wake one in its cache, many / few",
            many.in_cache.cpu_seconds / few.in_cache.cpu_seconds,
            MAX_WAITING_RATIO,
        ),
        _at_most(
            "CPU of the worker to wake one beyond its cache, many / few",
            many.beyond_cache.cpu_seconds / few.beyond_cache.cpu_seconds,
            MAX_WAITING_RATIO,
        ),
    ]


def of_pages(run: Pages) -> list[Check]:
    return [_at_most(f"p99 of {name}, page / API", round(run.ratio(name), 2), MAX_PAGE_RATIO) for name in run.page]


def _at_most(name: str, measured: float, most: float) -> Check:
    return Check(name, measured <= most, f"{measured:.4g}, at most {most:g}")
