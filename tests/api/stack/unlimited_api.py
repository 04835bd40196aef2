"""The API as it is deployed, for somebody who asks far more than a person would, and reads every answer to its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI

from api import main
from api.bookings.event_stream import StreamOptions
from api.http.rate_limits import Quota, RateLimits, RateLimitState
from sandbox.stack.commands import Command
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.ports import LOOPBACK, free_port
from sandbox.stack.probes import http_ok
from sandbox.stack.processes import Process
from sandbox.stack.stack import Stack


class NoLimits(RateLimits):
    """Counts as ever, so that the answers have their headers, and turns nobody away."""

    async def spend(self, quota: Quota, key: str) -> tuple[bool, RateLimitState]:
        _, standing = await super().spend(quota, key)
        return True, standing


def create_app() -> FastAPI:
    """For uvicorn. A stream ends when it has told what there is."""
    app = main.create_app()
    app.state.limits = NoLimits()
    deployed = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with deployed(app):
            streams: StreamOptions = app.state.streams
            app.state.streams = StreamOptions(streams.listener, max_duration=timedelta(0))
            yield

    app.router.lifespan_context = lifespan
    return app


def unlimited_api(stack: Stack) -> tuple[Process, str]:
    """Another API on the same stack, and where it answers."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    uvicorn = ("-m", "uvicorn", "--factory", f"{__name__}:create_app", "--host", LOOPBACK, "--port", str(port))
    # What is booked here and not paid is soon gone.
    settings = {"HOLDFAST_DECLINE_GRACE": "PT1S", "HOLDFAST_LAPSED_SLOT_WAIT": "PT0S"}
    limits = ("MAX_UNPAID", "MAX_UNPAID_PER_INSTRUCTOR", "MAX_LAPSES", "MAX_DECLINED_CARDS")
    settings |= {f"HOLDFAST_{limit}": "0" for limit in limits}
    env = child_environment({**stack.environment, **settings})
    command = Command(argv=python(*uvicorn), env=env, cwd=PROJECT_ROOT)
    return Process(
        name="unhurried", command=command, ready=http_ok(f"{url}/readyz"), log=stack.logs / "unhurried.log"
    ), url
