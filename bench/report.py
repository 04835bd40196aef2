"""The results of a run, as tables and as JSON."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import figures
from bench import greedy as greedy_steps
from bench.bookings import STEPS
from bench.checks import Check
from bench.figures import Ratio
from bench.greedy import CLIENTS, Greedy, p99
from bench.pages import Pages
from bench.recovery import Recovery
from bench.throughput import Throughput
from bench.waiting import CACHED, Waiting

_RECOVERY_KINDS = {
    "approved_meanwhile": "waited, approved while there was no worker",
    "approved_afterwards": "waited, approved once there was a new one",
    "caught_in_a_step": "were in the middle of a step",
}

_console = Console(width=120)


def print_throughput(run: Throughput, at_once: int) -> None:
    bookings = sum(batch.bookings for batch in run.batches)
    table = Table(title=f"{bookings} bookings from POST to captured, {at_once} at a time, a booking")
    for heading in ("", "Holdfast", "floor", "Holdfast / floor", "baseline", "Holdfast / baseline"):
        table.add_column(heading, justify="left" if not heading else "right")
    for figure in figures.figures(run):
        floor = _number(figure.floor), _ratio(figure.floor_ratio)
        table.add_row(figure.name, _number(figure.holdfast), *floor, _number(figure.baseline), _ratio(figure.ratio))
    _console.print(table)
    steps = Table(title="Milliseconds of each step, with the others at the same time")
    for heading in ("", "", "median", "95th percentile", "floor's median", "ratio"):
        steps.add_column(heading, justify="right" if heading else "left")
    for step, meaning in STEPS.items():
        seconds, least = figures.spread(run.step_seconds[step]), figures.spread(run.floor_seconds[step])
        milliseconds = (f"{value * 1000:.0f}" for value in (seconds.median, seconds.p95, least.median))
        steps.add_row(step, meaning, *milliseconds, f"{seconds.median / least.median:.2f}")
    _console.print(steps)


def print_recovery(run: Recovery) -> None:
    table = Table(title=f"Seconds from the new worker on, which was ready {run.worker_start_seconds:.1f} s after start")
    for heading in ("bookings that …", "bookings", "median", "slowest"):
        table.add_column(heading, justify="right" if heading in ("median", "slowest", "bookings") else "left")
    for kind, meaning in _RECOVERY_KINDS.items():
        seconds: list[float] = getattr(run, kind)
        table.add_row(meaning, str(len(seconds)), f"{figures.spread(seconds).median:.2f}", f"{max(seconds):.2f}")
    _console.print(table)


def print_greedy(run: Greedy) -> None:
    table = Table(title=f"Milliseconds, quiet and beside {CLIENTS} greedy clients")
    for heading in ("", "", "samples", "quiet p50", "quiet p99", "greedy p50", "greedy p99", "p99 ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    for step, meaning in greedy_steps.STEPS.items():
        quiet, beside = run.quiet[step], run.greedy[step]
        values = (median(quiet), p99(quiet), median(beside), p99(beside))
        milliseconds = (f"{value * 1000:.0f}" for value in values)
        table.add_row(step, meaning, str(len(beside)), *milliseconds, f"{run.ratio(step):.2f}")
    _console.print(table)
    answers = ", ".join(f"{answer}: {count}" for answer, count in sorted(run.answers.items()))
    _console.print(f"What they got in {run.greedy_seconds:.0f} s: {answers}", markup=False)


def print_waiting(run: Sequence[Waiting]) -> None:
    table = Table(title=f"Bookings that wait, of which the worker caches {CACHED}; median milliseconds to wake one")
    headings = ("waiting", "worker's memory, MB", "in the cache", "CPU of the worker", "beyond it", "CPU of the worker")
    for heading in headings:
        table.add_column(heading, justify="right")
    for each in run:
        wakings = (each.in_cache, each.beyond_cache)
        seconds = (value for waking in wakings for value in (median(waking.seconds), waking.cpu_seconds))
        milliseconds = (f"{value * 1000:.0f}" for value in seconds)
        table.add_row(str(each.bookings), f"{each.worker_megabytes:.0f}", *milliseconds)
    _console.print(table)


def print_pages(run: Pages) -> None:
    table = Table(title=f"Server time in milliseconds, with the API's process at {run.load:.0%} of a core")
    for heading in ("page", "samples", "page p50", "page p99", "API p50", "API p99", "p50 ratio", "p99 ratio"):
        table.add_column(heading, justify="left" if heading == "page" else "right")
    for name, page in run.page.items():
        calls = run.calls[name]
        values = (median(page), p99(page), median(calls), p99(calls))
        milliseconds = (f"{value * 1000:.1f}" for value in values)
        ratios = (f"{median(page) / median(calls):.2f}", f"{run.ratio(name):.2f}")
        table.add_row(name, str(len(page)), *milliseconds, *ratios)
    _console.print(table)


def print_checks(checks: Sequence[Check]) -> None:
    for check in checks:
        _console.print(f"{'ok   ' if check.ok else 'WRONG'} {check.name}: {check.detail}", markup=False)


def throughput_as_json(run: Throughput) -> dict[str, Any]:
    return {
        "figures": [asdict(figure) for figure in figures.figures(run)],
        "step_seconds": {step: asdict(figures.spread(seconds)) for step, seconds in run.step_seconds.items()},
        "floor_seconds": {step: asdict(figures.spread(seconds)) for step, seconds in run.floor_seconds.items()},
        "batches": [asdict(batch) for batch in run.batches],
    }


def write_json(path: Path, parameters: Mapping[str, int], results: Mapping[str, Any], checks: Sequence[Check]) -> None:
    outcome = {
        "ok": all(check.ok for check in checks),
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        **parameters,
        **results,
        "checks": [asdict(check) for check in checks],
    }
    path.write_text(json.dumps(outcome, indent=2) + "\n")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _ratio(ratio: Ratio | None) -> str:
    match ratio:
        case None:
            return ""
        case Ratio(median, lowest, highest) if lowest == highest:
            return f"{median:.2f}"
        case Ratio(median, lowest, highest):
            return f"{median:.2f} ({lowest:.2f} … {highest:.2f})"
