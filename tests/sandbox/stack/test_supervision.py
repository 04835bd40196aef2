import signal
import subprocess

import pytest

from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.supervision import EXIT_INTERRUPTED

_PROGRAM = """
import asyncio, sys
from sandbox.stack import supervision

async def main():
    try:
        print("up", flush=True)
        await asyncio.sleep(30)
    finally:
        print("in order", flush=True)

sys.exit(supervision.run(main()))
"""


def _ignore_interrupts() -> None:
    """As a shell does in a script, for what it starts with `&`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("in_background", [False, True])
def test_signal_stops_the_program_in_order(number: signal.Signals, in_background: bool) -> None:
    process = subprocess.Popen(
        python("-c", _PROGRAM),
        cwd=PROJECT_ROOT,
        env=child_environment({}),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_ignore_interrupts if in_background else None,
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.communicate(timeout=10)[0] == "in order\n"
    finally:
        process.kill()
    assert process.returncode == EXIT_INTERRUPTED
