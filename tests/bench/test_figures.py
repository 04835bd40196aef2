"""The figures behind the tables."""

import asyncio
import json
import os
from dataclasses import astuple
from pathlib import Path

import pytest

from bench.actions import HistoryCost
from bench.concurrency import map_concurrently
from bench.cpu import PLAYERS, Meter, Usage
from bench.figures import Figure, figures
from bench.stripe_calls import StripeCall, StripeLog
from bench.throughput import BASELINE_WORKER, FLOOR, Batch, Throughput
from sandbox.stack.commands import Command, spawn
from sandbox.stack.environment import PROJECT_ROOT, python

_BUSY_SECONDS = 0.3
_CHILD = f"import time\nwhile time.process_time() < {_BUSY_SECONDS}: pass"
_PARENT = f"""
import subprocess, sys, time
subprocess.run([sys.executable, "-c", {_CHILD!r}], check=True)
print("idle", flush=True)
time.sleep(60)
"""


def batch(bookings: int, seconds: float, baseline_seconds: float) -> Batch:
    return Batch(
        bookings,
        Usage(
            seconds,
            {"worker": 0.4 * bookings, "stripe": 9.0 * bookings, "mailbox": 5.0 * bookings, "temporal": 0.1 * bookings},
        ),
        Usage(baseline_seconds, {BASELINE_WORKER: 0.2 * bookings, "temporal": 0.05 * bookings}),
        Usage(seconds / 2, {FLOOR: 0.1 * bookings, "postgres": 0.02 * bookings}),
        Usage(seconds, {FLOOR: 0.04 * bookings, "postgres": 0.01 * bookings, "players": 1.0}),
    )


@pytest.fixture
def by_name() -> dict[str, Figure]:
    run = Throughput(
        batches=[batch(10, 5.0, 2.0), batch(30, 10.0, 3.0), batch(20, 20.0, 2.0)],
        step_seconds={},
        floor_seconds={},
        holdfast_histories=[HistoryCost(52, 18), HistoryCost(54, 20)],
        baseline_histories=[HistoryCost(40, 10)],
        stripe_calls=4,
        stripe_mutations=3,
    )
    return {figure.name: figure for figure in figures(run)}


def test_ratio_is_the_median_over_the_batches(by_name: dict[str, Figure]) -> None:
    # Bookings a second against baseline workflows a second: 2 to 5, 3 to 10, 1 to 10.
    ratio = by_name["a second"].ratio
    assert ratio is not None
    assert astuple(ratio) == pytest.approx((0.3, 0.1, 0.4))


def test_worker_is_compared_with_the_bare_worker(by_name: dict[str, Figure]) -> None:
    worker = by_name["CPU ms, worker"]
    assert worker.holdfast == pytest.approx(400)
    assert worker.baseline == pytest.approx(200)


def test_mails_of_the_floor_are_counted_and_told(by_name: dict[str, Figure]) -> None:
    together, without = by_name["CPU ms, sum of these"], by_name["CPU ms, without mails"]
    assert together.floor == pytest.approx(170)
    assert without.floor == pytest.approx(120)
    # Holdfast sends the same mails.
    assert without.holdfast == pytest.approx(500 - 50)
    assert without.baseline == pytest.approx(250)
    assert without.floor_ratio is not None
    assert without.floor_ratio.median == pytest.approx(450 / 120)


def test_time_of_the_floor_is_without_its_mails(by_name: dict[str, Figure]) -> None:
    ratio = by_name["a second"].floor_ratio
    assert ratio is not None
    assert astuple(ratio) == pytest.approx((0.5, 0.5, 0.5))


def test_sum_leaves_out_what_stands_in_for_others(by_name: dict[str, Figure]) -> None:
    assert by_name["CPU ms, sum of these"].holdfast == pytest.approx(500)
    assert by_name["CPU ms, sum of these"].baseline == pytest.approx(250)


def test_process_that_only_holdfast_uses_has_no_ratio(by_name: dict[str, Figure]) -> None:
    assert by_name["CPU ms, stripe"].baseline is None
    assert by_name["CPU ms, stripe"].ratio is None


def test_counts_are_means_over_the_bookings(by_name: dict[str, Figure]) -> None:
    assert (by_name["history events"].holdfast, by_name["billable actions"].holdfast) == (53, 19)


async def test_cpu_includes_child_processes() -> None:
    command = Command(argv=python("-c", _PARENT), env=dict(os.environ), cwd=PROJECT_ROOT)
    parent = await spawn(command, asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    usage = Usage()
    async with Meter({"parent": parent.pid}).measuring(usage):
        assert await parent.stdout.readline() == b"idle\n"
    parent.kill()
    await parent.wait()
    assert usage.cpu["parent"] >= _BUSY_SECONDS * 0.9
    assert usage.cpu[PLAYERS] < _BUSY_SECONDS


async def test_measurements_add_up() -> None:
    usage, meter = Usage(), Meter({"here": os.getpid()})
    for _ in range(2):
        async with meter.measuring(usage):
            await asyncio.sleep(0.05)
    assert usage.seconds >= 0.09


def test_only_calls_after_start_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "stripe.jsonl"
    path.write_text(json.dumps({"method": "POST", "path": "/v1/accounts"}) + "\n")
    log = StripeLog(path)
    log.start()
    with path.open("a") as file:
        for method in ("GET", "POST", "DELETE"):
            file.write(json.dumps({"method": method, "path": "/v1/customers"}) + "\n")
    calls = log.calls()
    assert calls == [StripeCall(method, "/v1/customers") for method in ("GET", "POST", "DELETE")]
    assert [call.is_mutating for call in calls] == [False, True, True]


async def test_concurrency_is_limited() -> None:
    running = peak = 0

    async def act(item: int) -> int:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.01)
        running -= 1
        return item * 2

    assert await map_concurrently(range(7), act, limit=3) == [item * 2 for item in range(7)]
    assert peak == 3
