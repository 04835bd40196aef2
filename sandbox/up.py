"""`./run up`: runs the whole stack until Ctrl-C, and restarts every process that ends. The data stay."""

import argparse
import asyncio
import json
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from api.http.auth import issue_token
from models.domain.actors import Role
from sandbox.seed import Seeds, seed
from sandbox.stack import supervision
from sandbox.stack.commands import StartupError
from sandbox.stack.local import THIS_CHECKOUT, LocalSecrets, StackDirectory, write_atomically
from sandbox.stack.ports import LOOPBACK
from sandbox.stack.processes import Process
from sandbox.stack.stack import Stack

_RESTART_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_LINK_LASTS: Final = timedelta(hours=12)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run up", description=__doc__)
    parser.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="write the addresses here as JSON when everything is ready"
    )
    parser.add_argument("--fresh", action="store_true", help="delete the data of earlier starts first")
    options = parser.parse_args()
    return supervision.run(up(THIS_CHECKOUT, options.ready_file, fresh=options.fresh))


async def up(local: StackDirectory, ready_file: Path | None, *, fresh: bool = False) -> int:
    """Run a stack until cancelled: the last one's data at its addresses, or with `fresh` a new one.

    Raises:
        StackRefusedError: another stack is running, the environment is set up for production or live mode, or the last
            one's data cannot be used.
        StartupError: a process did not become ready.
    """
    with local.lock():
        if fresh:
            local.delete_state()
        if ready_file:
            ready_file.unlink(missing_ok=True)  # noqa: ASYNC240 - before anything runs
        async with Stack(local.state, keeps_data=True) as stack:
            stripe_base = stack.worker_environment.get("STRIPE_API_BASE")
            seeds = await seed(stack.database_url, stack.stripe_key, stripe_base)
            local.write_secrets(LocalSecrets(stack.token_secret, stack.database_url))
            _announce(stack, seeds)
            _write_ready_file(stack, ready_file)
            # Ctrl-C and SIGTERM cancel the task, which is the normal end.
            with suppress(asyncio.CancelledError):
                await _keep_running(stack, ready_file)
            print("\nStopping.", flush=True)
    return 0


async def _keep_running(stack: Stack, ready_file: Path | None) -> None:
    """Restart every process that ends, at the same address and on the same data, so that no booking is lost."""

    async def watch(process: Process) -> None:
        while True:
            status = await process.exited()
            print(f"{process.name} ended with {status}; starting it again.", flush=True)
            await _restart(process)
            _write_ready_file(stack, ready_file)

    async with asyncio.TaskGroup() as group:
        for process in stack.processes.values():
            group.create_task(watch(process))


async def _restart(process: Process) -> None:
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
        "API and pages": stack.api_url,
        "Temporal UI": stack.temporal_ui_url,
        "Temporal": stack.temporal_address,
        "Stripe": stack.stripe_url + (" (its clock has buttons)" if stack.has_stripe_sandbox else ""),
        "Mailbox": stack.mailbox_url,
        "Meetings": stack.meeting_url,
        "Postgres": stack.database_url,
        "Logs": str(stack.logs),
        "Seed student": f"./run token --role student --id {seeds.students[0]}",
        "Seed instructor": f"./run token --role instructor --id {seeds.instructors[0]}",
        "As the student": sign_in_link(stack, Role.STUDENT, seeds.students[0]),
        "As the instructor": sign_in_link(stack, Role.INSTRUCTOR, seeds.instructors[0]),
        "As the operator": sign_in_link(stack, Role.OPERATOR, seeds.operator),
    }
    width = max(map(len, rows))
    table = "\n".join(f"  {name:<{width}}  {value}" for name, value in rows.items())
    hint = 'To play a booking with clicks: docs/pages.md, "Play a booking".'
    print(f"Holdfast is up. Ctrl-C stops it.\n\n{table}\n\n{hint}\n", flush=True)


def sign_in_link(stack: Stack, role: Role, id: UUID) -> str:
    """Signs in by one click, for as long as a session lasts. The token is in the fragment, which no log has.

    A browser has one session for each host name. So that one window can play both sides of a booking, the student's is
    the address that Checkout leads back to, and the others' is `localhost`.
    """
    token = issue_token(stack.token_secret, role, id, _LINK_LASTS)
    url = stack.api_url if role is Role.STUDENT else stack.api_url.replace(LOOPBACK, "localhost")
    return f"{url}/sign-in/token#{token}"


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
