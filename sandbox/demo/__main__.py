"""`./run demo`: runs every journey of a booking on the real stack and shows who paid and who got what."""

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.stripe.client import stripe_client
from models.db import build_engine
from sandbox.demo import checks, journeys, report
from sandbox.demo.figures import figures_at_stripe, payments_since, recorded_payments
from sandbox.demo.histories import save_histories
from sandbox.demo.marketplace import Marketplace
from sandbox.demo.people import Unexpected
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


async def _run(journey: journeys.Journey, marketplace: Marketplace) -> tuple[str, journeys.JourneyResult | Exception]:
    try:
        return journey.__name__, await journey(marketplace)
    except Exception as error:  # a failed journey is a row of the table; the others continue
        if journey in journeys.LAST:
            await marketplace.abort_payouts()
        return journey.__name__, error


async def _run_all(marketplace: Marketplace) -> tuple[list[report.Row], list[checks.Check]]:
    # Stripe's timestamps are whole seconds.
    start = datetime.now(UTC) - timedelta(seconds=1)
    await marketplace.open(journeys.PAIRS)
    print("Everybody has signed up, and the instructors can be paid.", flush=True)
    results = await asyncio.gather(*(_run(journey, marketplace) for journey in journeys.CONCURRENT))
    results += [await _run(journey, marketplace) for journey in journeys.EXCLUSIVE]
    results += await asyncio.gather(*(_run(journey, marketplace) for journey in journeys.LAST))
    await checks.wait_for_open_workflows(marketplace)
    payments = await payments_since(marketplace.stripe, start)
    figures = {id: await figures_at_stripe(marketplace.stripe, payment) for id, payment in payments.items()}
    expected = {journey.__name__: outcome for journey, outcome in journeys.ALL.items()}
    recorded = await recorded_payments(marketplace.engine)
    rows = [report.row(name, result, expected[name], figures, recorded) for name, result in results]
    return rows, await checks.all_checks(marketplace, start, payments, figures, recorded)


async def _demo(stripe_log: Path | None, histories: Path | None) -> tuple[list[report.Row], list[checks.Check]]:
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as directory:
        log = stripe_log or Path(directory) / "stripe.jsonl"
        async with Stack(Path(directory), stripe_log=log, env=journeys.WINDOWS | journeys.UNLIMITED) as stack:
            print(f"The stack is up; {len(journeys.ALL)} journeys are played.", flush=True)
            engine = build_engine(stack.database_url)
            temporal = await Client.connect(stack.temporal_address, data_converter=pydantic_data_converter)
            try:
                async with (
                    httpx.AsyncClient(base_url=stack.api_url, timeout=30) as http,
                    stripe_client(stack.stripe_key, stack.worker_environment.get("STRIPE_API_BASE")) as stripe,
                ):
                    marketplace = Marketplace(stack, http, engine, stripe, temporal)
                    rows, checked = await _run_all(marketplace)
                    if stack.has_stripe_sandbox:
                        checked.append(checks.stripe_log_is_valid(log))
                    if histories:
                        await save_histories(
                            temporal, {row.name: row.workflow_id for row in rows if row.workflow_id}, histories
                        )
                    return rows, checked
            finally:
                await engine.dispose()


def main() -> int:
    arguments = _arguments()
    start = time.monotonic()
    try:
        rows, checked = asyncio.run(_demo(arguments.stripe_log, arguments.histories))
    except (StartupError, Unexpected) as error:
        print(error, file=sys.stderr)
        return 1
    seconds = time.monotonic() - start
    report.print_tables(rows, checked, seconds)
    if arguments.json:
        report.write_json(arguments.json, rows, checked, seconds)
    return 0 if report.is_ok(rows, checked) else 1


if __name__ == "__main__":
    sys.exit(main())
