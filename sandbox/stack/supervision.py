"""Runs a program that owns child processes, so that every way of stopping it is orderly."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Final

from sandbox.stack.commands import StartupError
from sandbox.stack.stripe_choice import StackRefusedError

EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130


def run(main: Coroutine[None, None, int]) -> int:
    """Run `main` and return its exit code.

    SIGINT and SIGTERM cancel it, so that its `async with` blocks stop what they started. `StackRefusedError` and
    `StartupError` are printed as a message without a traceback.
    """
    try:
        with asyncio.Runner() as runner:
            return runner.run(_until_terminated(main))
    except (StackRefusedError, StartupError) as failure:
        print(failure, file=sys.stderr)
        return EXIT_FAILED
    except (asyncio.CancelledError, KeyboardInterrupt):
        return EXIT_INTERRUPTED


async def _until_terminated(main: Coroutine[None, None, int]) -> int:
    task = asyncio.ensure_future(main)
    for number in (signal.SIGINT, signal.SIGTERM):
        # asyncio's own handler of SIGINT is not installed where SIGINT is ignored: in a script, a shell ignores it for
        # everything that it starts with `&`.
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task
