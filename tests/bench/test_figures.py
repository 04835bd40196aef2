"""The sums behind the tables."""

import asyncio
import json
import os
from dataclasses import astuple
from pathlib import Path

import pytest

from bench.actions import HistoryCost
from bench.concurrency import each
from bench.cpu import PLAYERS, Meter, Usage
from bench.figures import Figure, figures
from bench.stripe_calls import StripeCall, StripeLog
from bench.throughput import BARE_WORKER, Batch, Throughput
from sandbox.stack.commands import Command, spawn
from sandbox.stack.environment import PROJECT_ROOT, python

_BUSY_SECONDS = 0.3
_CHILD = f"import time\nwhile time.process_time() < {_BUSY_SECONDS}: pass"
_PARENT = f"""
import subprocess, sys, time
subprocess.run([sys.executable, "-c", {_CHILD!r}], check=True)
print("busy no more", flush=True)
time.sleep(60)
"""


def batch(bookings: int, seconds: float, bare_seconds: float) -> Batch:
    return Batch(
        bookings,
        Usage(seconds, {"worker": 0.4 * bookings, "stripe": 9.0 * bookings, "temporal": 0.1 * bookings}),
        Usage(bare_seconds, {BARE_WORKER: 0.2 * bookings, "temporal": 0.05 * bookings}),
    )


@pytest.fixture
def found() -> dict[str, Figure]:
    run = Throughput(
        batches=[batch(10, 5.0, 2.0), batch(30, 10.0, 3.0), batch(20, 20.0, 2.0)],
        step_seconds={},
        holdfast_histories=[HistoryCost(52, 18), HistoryCost(54, 20)],
        bare_histories=[HistoryCost(40, 10)],
        stripe_calls=4,
        stripe_mutations=3,
    )
    return {figure.name: figure for figure in figures(run)}


def test_a_ratio_is_the_median_over_the_batches(found: dict[str, Figure]) -> None:
    # 2 against 5 a second, 3 against 10, 1 against 10.
    ratio = found["a second"].ratio
    assert ratio is not None
    assert astuple(ratio) == pytest.approx((0.3, 0.1, 0.4))


def test_the_worker_is_compared_with_the_bare_worker(found: dict[str, Figure]) -> None:
    worker = found["CPU ms, worker"]
    assert worker.holdfast == pytest.approx(400)
    assert worker.bare == pytest.approx(200)


def test_the_sum_leaves_the_stripe_sandbox_out(found: dict[str, Figure]) -> None:
    assert found["CPU ms, sum of these"].holdfast == pytest.approx(500)
    assert found["CPU ms, sum of these"].bare == pytest.approx(250)


def test_what_only_holdfast_needs_is_compared_with_nothing(found: dict[str, Figure]) -> None:
    assert found["CPU ms, stripe"].bare is None
    assert found["CPU ms, stripe"].ratio is None


def test_counts_are_means_over_the_bookings(found: dict[str, Figure]) -> None:
    assert (found["history events"].holdfast, found["billable actions"].holdfast) == (53, 19)


async def test_the_cpu_of_a_process_and_its_children_is_measured() -> None:
    command = Command(argv=python("-c", _PARENT), env=dict(os.environ), cwd=PROJECT_ROOT)
    parent = await spawn(command, asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    usage = Usage()
    async with Meter({"parent": parent.pid}).measuring(usage):
        assert await parent.stdout.readline() == b"busy no more\n"
    parent.kill()
    await parent.wait()
    assert usage.cpu["parent"] >= _BUSY_SECONDS * 0.9
    assert usage.cpu[PLAYERS] < _BUSY_SECONDS


async def test_the_measured_time_adds_up_over_two_parts() -> None:
    usage, meter = Usage(), Meter({"here": os.getpid()})
    for _ in range(2):
        async with meter.measuring(usage):
            await asyncio.sleep(0.05)
    assert usage.seconds >= 0.09


def test_only_calls_after_the_start_are_counted(tmp_path: Path) -> None:
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


async def test_no_more_things_happen_at_once_than_allowed() -> None:
    now = most = 0

    async def act(item: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return item * 2

    assert await each(range(7), act, at_once=3) == [item * 2 for item in range(7)]
    assert most == 3
