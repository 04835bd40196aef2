"""While the process is busy, callers who ask for much wait for those who ask for little.

Quotas bound what one caller gets in a minute. They do not keep many callers from filling the process within their
quotas. A caller who asks rarely never waits here, and nobody waits while the process has time to spare.
"""

import asyncio
import contextlib
import time

_BUSY_SECONDS = 0.002
"""The event loop takes longer than this for one pass while several requests are being handled."""
_PAUSE_SECONDS = 0.02
_MAX_SECONDS = 5.0
"""Nobody waits for longer, so that a process that is always busy still answers everybody."""


class Backpressure:
    """Lets heavy callers in one after the other, each as soon as the event loop has time."""

    def __init__(self, max_seconds: float = _MAX_SECONDS) -> None:
        self._max_seconds = max_seconds
        self._turn = asyncio.Lock()

    async def wait_turn(self) -> None:
        """For one request of a heavy caller."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._max_seconds), self._turn:
                await _until_loop_has_time()


async def _until_loop_has_time() -> None:
    while True:
        started = time.monotonic()
        await asyncio.sleep(0)  # everything else that is ready runs now
        if time.monotonic() - started <= _BUSY_SECONDS:
            return
        await asyncio.sleep(_PAUSE_SECONDS)
