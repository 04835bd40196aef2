"""The figures of a run: the means of Holdfast and of the baseline workflow, and their ratio."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median, quantiles
from typing import Final

from bench.cpu import PLAYERS, Usage
from bench.throughput import BASELINE_WORKER, Batch, Throughput

STRIPE: Final = "stripe"
MAILBOX: Final = "mailbox"
"""Like the Stripe sandbox, it stands in for somebody else's servers, so the sum leaves both out."""

_OURS: Final = ("worker", "temporal", "api", "postgres")
_BARE_NAME: Final = {"worker": BASELINE_WORKER}


@dataclass(frozen=True)
class Ratio:
    """Holdfast / baseline: the median over the batches, and the lowest and the highest batch."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Figure:
    name: str
    holdfast: float
    baseline: float | None = None
    ratio: Ratio | None = None


@dataclass(frozen=True)
class Spread:
    median: float
    p95: float


def figures(run: Throughput) -> list[Figure]:
    events = [[cost.events for cost in costs] for costs in (run.holdfast_histories, run.baseline_histories)]
    actions = [[cost.actions for cost in costs] for costs in (run.holdfast_histories, run.baseline_histories)]
    return [
        _compared("a second", run.batches, lambda batch, usage: batch.bookings / usage.seconds),
        _counted("history events", *events),
        _counted("billable actions", *actions),
        Figure("Stripe calls", run.stripe_calls),
        Figure("Stripe calls that change something", run.stripe_mutations),
        *(_cpu(run.batches, process) for process in _OURS),
        _compared("CPU ms, sum of these", run.batches, lambda batch, usage: _sum_cpu(usage) * 1000 / batch.bookings),
        *(_cpu(run.batches, process) for process in (STRIPE, MAILBOX, PLAYERS)),
    ]


def spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), quantiles(values, n=20)[-1] if len(values) > 1 else values[0])


def _counted(name: str, holdfast: Sequence[int], baseline: Sequence[int]) -> Figure:
    ratio = mean(holdfast) / mean(baseline)
    return Figure(name, mean(holdfast), mean(baseline), Ratio(ratio, ratio, ratio))


def _cpu(batches: Sequence[Batch], process: str) -> Figure:
    def milliseconds(batch: Batch, usage: Usage) -> float:
        name = _BARE_NAME.get(process, process) if usage is batch.baseline else process
        return usage.cpu.get(name, 0.0) * 1000 / batch.bookings

    return _compared(f"CPU ms, {process}", batches, milliseconds)


def _sum_cpu(usage: Usage) -> float:
    return sum(seconds for process, seconds in usage.cpu.items() if process in (*_OURS, BASELINE_WORKER))


def _compared(name: str, batches: Sequence[Batch], value: Callable[[Batch, Usage], float]) -> Figure:
    """The mean weighs each batch by its size. There is no ratio if the baseline workflow does not use the process."""
    holdfast = [value(batch, batch.holdfast) for batch in batches]
    baseline = [value(batch, batch.baseline) for batch in batches]
    if not all(baseline):
        return Figure(name, _weighted(holdfast, batches))
    ratios = [one / other for one, other in zip(holdfast, baseline, strict=True)]
    ratio = Ratio(median(ratios), min(ratios), max(ratios))
    return Figure(name, _weighted(holdfast, batches), _weighted(baseline, batches), ratio)


def _weighted(values: Sequence[float], batches: Sequence[Batch]) -> float:
    sizes = [batch.bookings for batch in batches]
    return sum(value * size for value, size in zip(values, sizes, strict=True)) / sum(sizes)
