"""`./run up`: the whole stack, kept running until Ctrl-C, and brought back whatever of it is killed."""

import argparse
import asyncio
import json
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from sandbox.seed import Seeds, seed
from sandbox.stack import supervision
from sandbox.stack.commands import StartupError
from sandbox.stack.local import THIS_CHECKOUT, LocalPlace, write_atomically
from sandbox.stack.processes import Process
from sandbox.stack.stack import Stack

_RESTART_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run up", description=__doc__)
    parser.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="write the addresses here as JSON when everything is ready"
    )
    ready_file: Path | None = parser.parse_args().ready_file
    return supervision.run(up(THIS_CHECKOUT, ready_file))


async def up(place: LocalPlace, ready_file: Path | None) -> int:
    """Run a new stack, with no memory of the last one, until cancelled.

    Raises:
        StackRefusedError: another one is running, or the environment asks for production or real money.
        StartupError: a part did not get ready.
    """
    with place.only_stack():
        _forget_last_run(place, ready_file)
        async with Stack(place.state) as stack:
            stripe_base = stack.environment.get("STRIPE_API_BASE")
            seeds = await seed(stack.database_url, stack.stripe_key, stripe_base)
            place.write_token_secret(stack.token_secret)
            _announce(stack, seeds)
            _write_ready_file(stack, ready_file)
            # Cancelled is how this ends well: by Ctrl-C or SIGTERM.
            with suppress(asyncio.CancelledError):
                await _keep_alive(stack, ready_file)
            print("\nStopping.", flush=True)
    return 0


def _forget_last_run(place: LocalPlace, ready_file: Path | None) -> None:
    shutil.rmtree(place.state, ignore_errors=True)
    if ready_file:
        ready_file.unlink(missing_ok=True)


async def _keep_alive(stack: Stack, ready_file: Path | None) -> None:
    """Start again whatever ends, at its old address and on its old data: nothing of a booking may be lost."""

    async def watch(process: Process) -> None:
        while True:
            how = await process.exited()
            print(f"{process.name} ended with {how}; starting it again.", flush=True)
            await _start_again(process)
            _write_ready_file(stack, ready_file)

    async with asyncio.TaskGroup() as group:
        for process in stack.processes.values():
            group.create_task(watch(process))


async def _start_again(process: Process) -> None:
    pause = _RESTART_PAUSE_SECONDS
    while True:
        try:
            return await process.start()
        except StartupError as failure:
            print(f"{failure}\nThe next attempt is in {pause:g} s.", file=sys.stderr, flush=True)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _announce(stack: Stack, seeds: Seeds) -> None:
    rows = {
        "API": stack.api_url,
        "Temporal UI": stack.temporal_ui_url,
        "Temporal": stack.temporal_address,
        "Stripe": stack.stripe_url,
        "Mailbox": stack.mailbox_url,
        "Meetings": stack.meeting_url,
        "Postgres": stack.database_url,
        "Logs": str(stack.logs),
        "Seed student": f"./run token --role student --id {seeds.students[0]}",
        "Seed instructor": f"./run token --role instructor --id {seeds.instructors[0]}",
    }
    width = max(map(len, rows))
    table = "\n".join(f"  {what:<{width}}  {where}" for what, where in rows.items())
    print(f"Holdfast is up. Ctrl-C stops it.\n\n{table}\n", flush=True)


def _write_ready_file(stack: Stack, ready_file: Path | None) -> None:
    if ready_file is None:
        return
    ready = {
        "api_url": stack.api_url,
        "temporal_address": stack.temporal_address,
        "temporal_ui_url": stack.temporal_ui_url,
        "stripe_url": stack.stripe_url,
        "meeting_url": stack.meeting_url,
        "database_url": stack.database_url,
        "mailbox_url": stack.mailbox_url,
        "pids": stack.pids,
    }
    write_atomically(ready_file, json.dumps(ready, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
