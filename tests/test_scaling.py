"""docs/operations/scaling.md computes with the figures of docs/cost.md."""

import math
import re
from collections.abc import Callable

import pytest

from models.db import build_engine
from sandbox.stack.environment import PROJECT_ROOT
from worker import Settings

_SCALING = (PROJECT_ROOT / "docs" / "operations" / "scaling.md").read_text()
_COST = (PROJECT_ROOT / "docs" / "cost.md").read_text()
_LOADS = (1, 100, 1_000)
_MONTH = 30 * 86_400
_BUSY = 0.6
_ROWS = 24
"""Audit events, ledger transactions and entries of a completed booking."""
_WORKFLOW_TASKS = 8


def _measured(label: str) -> float:
    [figure] = re.findall(rf"^\| {re.escape(label)} \| (\d+) \|", _COST, re.MULTILINE)
    return float(figure)


WORKER, API = (_measured(f"CPU ms of the {name}") / 1_000 for name in ("worker", "API"))
POSTGRES, TEMPORAL = (_measured(f"CPU ms of {name}") / 1_000 for name in ("Postgres", "Temporal"))
EVENTS, ACTIONS = _measured("history events"), _measured("billable actions")
CALLS = _measured("Stripe calls in all")


def _activities() -> list[str]:
    """Those named in the table of steps that are not markers."""
    table = _COST.partition("## Where the events go")[2].partition("Why it is not more")[0]
    return re.findall(r"`(\w+)` \(3 and a", table)


STRIPE_ACTIVITIES = sum(not each.startswith("record_") for each in _activities())
STRIPE_RATE = Settings.model_fields["holdfast_stripe_activities_per_second"].default


def _processes(cpu: float) -> Callable[[int], float]:
    return lambda load: max(2, math.ceil(load * cpu / _BUSY))


def _connections(load: int) -> float:
    per_process: int = 2 * build_engine("postgresql+psycopg://").pool.size()  # type: ignore[attr-defined]
    api, workers = _processes(API)(load), _processes(WORKER)(load)
    return per_process * (api + workers) + api


EXPECTED: dict[str, Callable[[int], float]] = {
    "bookings a month": lambda load: load * _MONTH,
    "worker CPU, cores": lambda load: load * WORKER,
    "API CPU, cores": lambda load: load * API,
    "Postgres CPU, cores": lambda load: load * POSTGRES,
    "Temporal CPU, cores": lambda load: load * TEMPORAL,
    "workers, at 60 % of a core each": _processes(WORKER),
    "API processes, at 60 % of a core each": _processes(API),
    "connections to Postgres, at most": _connections,
    "activities a second": lambda load: load * len(_activities()),
    "workflow and activity tasks a second": lambda load: load * (len(_activities()) + _WORKFLOW_TASKS),
    "history events a second": lambda load: load * EVENTS,
    "Temporal Cloud actions a second": lambda load: load * ACTIONS,
    "Stripe calls a second": lambda load: load * CALLS,
    "rows a month, audit trail and ledger": lambda load: load * _MONTH * _ROWS,
}


def _number(text: str) -> float:
    number, _, unit = text.replace(",", "").partition(" ")
    return float(number) * (1_000_000 if unit == "million" else 1)


def _rows() -> dict[str, list[str]]:
    table = _SCALING.partition("## What each load takes")[2].partition("##")[0]
    rows = re.findall(r"^\| (\w[^|]+) \| (\d.*?) \| (\d.*?) \| (\d.*?) \|", table, re.MULTILINE)
    return {label: cells for label, *cells in rows}


def test_every_row_of_the_table_is_computed() -> None:
    assert _rows().keys() == EXPECTED.keys()


@pytest.mark.parametrize("label", EXPECTED)
def test_row_follows_from_what_a_booking_costs(label: str) -> None:
    shown = [_number(cell) for cell in _rows()[label]]
    assert shown == pytest.approx([EXPECTED[label](load) for load in _LOADS], rel=0.05)


@pytest.mark.parametrize(
    ("at", "limit"),
    [
        (STRIPE_RATE / STRIPE_ACTIVITIES, f"HOLDFAST_STRIPE_ACTIVITIES_PER_SECOND`, {STRIPE_RATE:g}"),
        (next(load for load in range(1, 100) if _connections(load) > 100), "100 connections"),
        (100 / CALLS, "100 requests a second for an account"),
        (500 / ACTIONS, "500 actions a second"),
    ],
)
def test_limit_is_reached_where_the_table_says(at: float, limit: str) -> None:
    [shown] = re.findall(rf"^\| (\d+)/s \| [^|]*{re.escape(limit)}", _SCALING, re.MULTILINE)
    assert float(shown) == pytest.approx(at, rel=0.02)


def test_calls_at_the_default_rate_are_below_every_limit_of_stripe() -> None:
    assert STRIPE_RATE * CALLS / STRIPE_ACTIVITIES < 25


def test_append_only_tables_grow_as_measured() -> None:
    [tables, indexes] = map(float, re.findall(r"([\d.]+) KB of (?:tables|indexes)", _SCALING))
    rows = re.findall(r"^\| (?:audit trail and ledger, a year|of that, indexes) (.*)$", _SCALING, re.MULTILINE)
    sizes = [re.findall(r"([\d.]+) ([GT])B", row) for row in rows]
    shown = [[float(size) * {"G": 1, "T": 1_000}[unit] for size, unit in row] for row in sizes]
    a_year = 365 * 86_400 / 1e6
    for row, kilobytes in zip(shown, (tables + indexes, indexes), strict=True):
        assert row == pytest.approx([kilobytes * a_year * load for load in (1, 10, 100)], rel=0.05)


def test_costs_follow_from_their_prices() -> None:
    actions, cpu, fee = ACTIONS * 50 / 1e6, _measured("sum") / 1_000 / 3_600 * 0.04, 3.20
    cells = re.findall(r"\| ([\d.]+) USD \| ([\d,]+) USD \|$", _SCALING, re.MULTILINE)
    shown = [(float(each), _number(month)) for each, month in cells]
    for (each, month), computed in zip(shown, (actions, cpu, fee), strict=True):
        assert each == pytest.approx(computed, rel=0.1)
        assert month == pytest.approx(computed * _MONTH, rel=0.05)
