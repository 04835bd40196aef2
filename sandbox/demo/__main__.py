"""`./run demo`: plays every journey of a booking on real parts and shows who paid and got what."""

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


async def _play(play: journeys.Play, marketplace: Marketplace) -> tuple[str, journeys.Played | Exception]:
    try:
        return play.__name__, await play(marketplace)
    except Exception as failure:  # a journey that fails is a row of the table; the others go on
        if play in journeys.AT_LAST:
            await marketplace.no_payday()
        return play.__name__, failure


async def _play_all(marketplace: Marketplace) -> tuple[list[report.Row], list[checks.Check]]:
    # Stripe counts in whole seconds.
    start = datetime.now(UTC) - timedelta(seconds=1)
    await marketplace.open(journeys.PAIRS)
    print("Everybody has signed up, and the instructors can be paid.", flush=True)
    played = await asyncio.gather(*(_play(play, marketplace) for play in journeys.TOGETHER))
    played += [await _play(play, marketplace) for play in journeys.ALONE]
    played += await asyncio.gather(*(_play(play, marketplace) for play in journeys.AT_LAST))
    await checks.nothing_is_going_on(marketplace)
    payments = await payments_since(marketplace.stripe, start)
    figures = {id: await figures_at_stripe(marketplace.stripe, payment) for id, payment in payments.items()}
    expected = {play.__name__: end for play, end in journeys.ALL.items()}
    recorded = await recorded_payments(marketplace.engine)
    rows = [report.row(name, outcome, expected[name], figures, recorded) for name, outcome in played]
    return rows, await checks.all_checks(marketplace, start, payments, figures, recorded)


async def _demo(stripe_log: Path | None, histories: Path | None) -> tuple[list[report.Row], list[checks.Check]]:
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as directory:
        log = stripe_log or Path(directory) / "stripe.jsonl"
        async with Stack(Path(directory), stripe_log=log, env=journeys.WINDOWS) as stack:
            print(f"The stack is up; {len(journeys.ALL)} journeys are played.", flush=True)
            engine = build_engine(stack.database_url)
            temporal = await Client.connect(stack.temporal_address, data_converter=pydantic_data_converter)
            try:
                async with (
                    httpx.AsyncClient(base_url=stack.api_url, timeout=30) as http,
                    stripe_client(stack.stripe_key, stack.environment.get("STRIPE_API_BASE")) as stripe,
                ):
                    marketplace = Marketplace(stack, http, engine, stripe, temporal)
                    rows, checked = await _play_all(marketplace)
                    if stack.has_stripe_sandbox:
                        checked.append(checks.stripe_was_spoken_to_as_it_is(log))
                    if histories:
                        await save_histories(
                            temporal, {row.name: row.workflow_id for row in rows if row.workflow_id}, histories
                        )
                    return rows, checked
            finally:
                await engine.dispose()


def main() -> int:
    arguments = _arguments()
    began = time.monotonic()
    try:
        rows, checked = asyncio.run(_demo(arguments.stripe_log, arguments.histories))
    except (StartupError, Unexpected) as failure:
        print(failure, file=sys.stderr)
        return 1
    seconds = time.monotonic() - began
    report.print_tables(rows, checked, seconds)
    if arguments.json:
        report.write_json(arguments.json, rows, checked, seconds)
    return 0 if report.is_ok(rows, checked) else 1


if __name__ == "__main__":
    sys.exit(main())
