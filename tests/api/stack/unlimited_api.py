"""The API as it is deployed, but without rate limits, and with event streams that end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI

from api import main
from api.bookings.event_stream import EventStreams
from api.http.rate_limits import Quota, RateLimits, RateLimitState
from sandbox.stack.commands import Command
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.ports import LOOPBACK, free_port
from sandbox.stack.probes import http_ok
from sandbox.stack.processes import Process
from sandbox.stack.stack import Stack


class NoLimits(RateLimits):
    """Counts requests, so that responses have the headers, and refuses none."""

    async def spend(self, quota: Quota, key: str) -> tuple[bool, RateLimitState]:
        _, state = await super().spend(quota, key)
        return True, state


def create_app() -> FastAPI:
    """For uvicorn. A stream ends when it has sent what there is."""
    app = main.create_app()
    app.state.limits = NoLimits()
    deployed = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with deployed(app):
            streams: EventStreams = app.state.streams
            app.state.streams = EventStreams(streams.listener, max_duration=timedelta(0), max_per_person=10_000)
            yield

    app.router.lifespan_context = lifespan
    return app


def unlimited_api(stack: Stack) -> tuple[Process, str]:
    """Another API process on the same stack, and its URL."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    uvicorn = ("-m", "uvicorn", "--factory", f"{__name__}:create_app", "--host", LOOPBACK, "--port", str(port))
    # Unpaid bookings are deleted soon.
    settings = {"HOLDFAST_DECLINE_GRACE": "PT1S", "HOLDFAST_LAPSED_SLOT_WAIT": "PT0S"}
    # It gets thousands of requests.
    settings |= {"OTEL_SDK_DISABLED": "true"}
    limits = ("MAX_UNPAID", "MAX_UNPAID_PER_INSTRUCTOR", "MAX_LAPSES", "MAX_DECLINED_CARDS")
    settings |= {f"HOLDFAST_{limit}": "0" for limit in limits}
    env = child_environment({**stack.environment, **settings})
    command = Command(argv=python(*uvicorn), env=env, cwd=PROJECT_ROOT)
    return Process(
        name="unlimited", command=command, ready=http_ok(f"{url}/readyz"), log=stack.logs / "unlimited.log"
    ), url
