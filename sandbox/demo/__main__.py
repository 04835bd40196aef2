"""`./run demo`: runs every journey of a booking on the real stack and shows who paid and who got what."""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.stripe.client import stripe_client
from models.db import build_engine
from sandbox.demo import BEGUN, checks, programme, report
from sandbox.demo.figures import figures_of_booking, payments_since, recorded_payments
from sandbox.demo.histories import save_histories
from sandbox.demo.marketplace import Marketplace
from sandbox.demo.people import Unexpected
from sandbox.demo.steps import Journey, JourneyResult
from sandbox.stack.commands import StartupError
from sandbox.stack.stack import Stack


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run demo", description="Play every journey of a booking.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcome as JSON")
    parser.add_argument(
        "--stripe-log", type=Path, metavar="FILE", help="write each request to the Stripe sandbox, and its answer"
    )
    parser.add_argument(
        "--histories", type=Path, metavar="DIRECTORY", help="save each booking's workflow history, for the replay tests"
    )
    return parser.parse_args()


def _show(progress: str) -> None:
    print(f"{time.monotonic() - BEGUN:6.1f} s  {progress}", flush=True)


async def _play(marketplace: Marketplace, journeys: Iterable[Journey]) -> list[tuple[str, JourneyResult | Exception]]:
    return await asyncio.gather(*(_play_one(marketplace, journey) for journey in journeys))


async def _play_one(marketplace: Marketplace, journey: Journey) -> tuple[str, JourneyResult | Exception]:
    try:
        result = await journey(marketplace)
    except Exception as error:  # a failed journey is a row of the table; the others continue
        if journey in programme.LAST:
            await marketplace.abort_payouts()
        _show(f"{journey.__name__} failed")
        return journey.__name__, error
    _show(journey.__name__)
    return journey.__name__, result


async def _run_all(marketplace: Marketplace) -> tuple[list[report.Row], list[checks.Check]]:
    # Stripe's timestamps are whole seconds.
    start = datetime.now(UTC) - timedelta(seconds=1)
    begun = time.monotonic()
    await marketplace.open(pairs=1)
    first = asyncio.create_task(_play(marketplace, programme.FIRST))
    await marketplace.sign_up(programme.PAIRS - 1)
    _show("Everybody has signed up, and the instructors can be paid.")
    # What takes 4 s on a quiet machine shows how much longer this one needs.
    marketplace = replace(marketplace, soon=max(marketplace.soon, 1.5 * timedelta(seconds=time.monotonic() - begun)))
    concurrent = asyncio.create_task(_play(marketplace, programme.CONCURRENT))
    last = asyncio.create_task(_play(marketplace, programme.LAST))
    results = await first + await concurrent
    with contextlib.suppress(asyncio.BrokenBarrierError):
        await marketplace.wait_for_payouts()
    results += await last
    _show("All journeys have been played; their outcome is compared with Stripe's.")
    await checks.wait_for_open_workflows(marketplace)
    payments = await payments_since(marketplace.stripe, start)
    figures = {id: await figures_of_booking(marketplace.stripe, made) for id, made in payments.items()}
    expected = {journey.__name__: outcome for journey, outcome in programme.ALL.items()}
    recorded = await recorded_payments(marketplace.engine)
    rows = [report.row(name, result, expected[name], figures, recorded) for name, result in results]
    return rows, await checks.all_checks(marketplace, start, payments, figures, recorded)


async def _demo(stripe_log: Path | None, histories: Path | None) -> tuple[list[report.Row], list[checks.Check]]:
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as directory:
        log = stripe_log or Path(directory) / "stripe.jsonl"
        _show("Postgres, Temporal, the sandboxes, the worker and the API start.")
        async with Stack(Path(directory), stripe_log=log, env=programme.WINDOWS | programme.UNLIMITED) as stack:
            _show(f"The stack is up; {len(programme.ALL)} journeys are played.")
            engine = build_engine(stack.database_url)
            temporal = await Client.connect(stack.temporal_address, data_converter=pydantic_data_converter)
            try:
                async with (
                    httpx.AsyncClient(base_url=stack.api_url, timeout=30) as http,
                    stripe_client(stack.stripe_key, stack.worker_environment.get("STRIPE_API_BASE")) as stripe,
                ):
                    marketplace = Marketplace(stack, http, engine, stripe, temporal)
                    rows, checked = await _run_all(marketplace)
                    if histories:
                        await save_histories(
                            temporal, {row.name: row.workflow_id for row in rows if row.workflow_id}, histories
                        )
                    if stack.has_stripe_sandbox:
                        # Nothing is logged any more. It takes half a second, while the stack stops.
                        log_check = asyncio.create_task(asyncio.to_thread(checks.stripe_log_is_valid, log))
            finally:
                await engine.dispose()
        if stack.has_stripe_sandbox:
            checked.append(await log_check)
        return rows, checked


def main() -> int:
    arguments = _arguments()
    try:
        rows, checked = asyncio.run(_demo(arguments.stripe_log, arguments.histories))
    except (StartupError, Unexpected) as error:
        print(error, file=sys.stderr)
        return 1
    seconds = time.monotonic() - BEGUN
    report.print_tables(rows, checked, seconds)
    if arguments.json:
        report.write_json(arguments.json, rows, checked, seconds)
    return 0 if report.is_ok(rows, checked) else 1


if __name__ == "__main__":
    sys.exit(main())
