"""The figures of a run: the means of Holdfast, of the floor and of the baseline workflow, and their ratios."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median, quantiles
from typing import Final

from bench.cpu import PLAYERS, Usage
from bench.throughput import BASELINE_WORKER, FLOOR, Batch, Throughput

STRIPE: Final = "stripe"
MAILBOX: Final = "mailbox"
"""Like the Stripe sandbox, it stands in for somebody else's servers, so the sum leaves both out."""

_OURS: Final = ("worker", "temporal", "api", "postgres")
_OTHERS_NAMES: Final = {"worker": (BASELINE_WORKER, FLOOR)}
"""Their programs do the worker's part."""


@dataclass(frozen=True)
class Ratio:
    """Holdfast / the other: the median over the batches, and the lowest and the highest batch."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Figure:
    name: str
    holdfast: float
    floor: float | None = None
    floor_ratio: Ratio | None = None
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
        _compared("CPU ms, sum of these", run.batches, lambda batch, usage: _cpu_ms(batch, usage, *_OURS)),
        _compared("CPU ms, without mails", run.batches, _cpu_ms_without_mails),
        *(_cpu(run.batches, process) for process in (STRIPE, MAILBOX, PLAYERS)),
    ]


def spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), quantiles(values, n=20)[-1] if len(values) > 1 else values[0])


def _counted(name: str, holdfast: Sequence[int], baseline: Sequence[int]) -> Figure:
    ratio = mean(holdfast) / mean(baseline)
    return Figure(name, mean(holdfast), baseline=mean(baseline), ratio=Ratio(ratio, ratio, ratio))


def _cpu(batches: Sequence[Batch], process: str) -> Figure:
    return _compared(f"CPU ms, {process}", batches, lambda batch, usage: _cpu_ms(batch, usage, process))


def _cpu_ms(batch: Batch, usage: Usage, *processes: str) -> float:
    """For one of the bookings, with their mails."""
    names = [name for process in processes for name in (process, *_OTHERS_NAMES.get(process, ()))]
    usages = (usage, batch.floor_mails) if usage is batch.floor else (usage,)
    return sum(each.cpu.get(name, 0.0) for each in usages for name in names) * 1000 / batch.bookings


def _cpu_ms_without_mails(batch: Batch, usage: Usage) -> float:
    """Holdfast's mails are those of the floor, which sends them by themselves. The baseline workflow sends none."""
    mails = Usage(cpu=batch.floor_mails.cpu) if usage is not batch.baseline else Usage()
    return _cpu_ms(batch, usage, *_OURS) - _cpu_ms(batch, mails, *_OURS)


def _compared(name: str, batches: Sequence[Batch], value: Callable[[Batch, Usage], float]) -> Figure:
    """The mean weighs each batch by its size. There is no ratio to what does not use the process."""
    holdfast = [value(batch, batch.holdfast) for batch in batches]
    floor = [value(batch, batch.floor) for batch in batches]
    baseline = [value(batch, batch.baseline) for batch in batches]
    return Figure(
        name,
        _weighted(holdfast, batches),
        *((_weighted(floor, batches), _ratio(holdfast, floor)) if all(floor) else (None, None)),
        *((_weighted(baseline, batches), _ratio(holdfast, baseline)) if all(baseline) else (None, None)),
    )


def _ratio(holdfast: Sequence[float], other: Sequence[float]) -> Ratio:
    ratios = [one / each for one, each in zip(holdfast, other, strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios))


def _weighted(values: Sequence[float], batches: Sequence[Batch]) -> float:
    sizes = [batch.bookings for batch in batches]
    return sum(value * size for value, size in zip(values, sizes, strict=True)) / sum(sizes)
