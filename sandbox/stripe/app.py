"""The sandbox as an ASGI app: composition root and the table of its four doors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Route

from sandbox.stripe import deadlines
from sandbox.stripe.api import Api
from sandbox.stripe.context import World
from sandbox.stripe.control import Control
from sandbox.stripe.faults import Faults
from sandbox.stripe.idempotency import IdempotencyKeys
from sandbox.stripe.pages.checkout import CheckoutPages
from sandbox.stripe.pages.onboarding import OnboardingPages
from sandbox.stripe.request_log import RequestLog
from sandbox.stripe.views import VIEWS
from sandbox.stripe.webhook_delivery import Courier

_TICK_SECONDS = 0.25


def create_app(log: Path | None = None, state: Path | None = None) -> Starlette:
    """One sandbox. `log` gets a JSON line for each API request; `state` survives a restart.

    Everything also works without the lifespan events, as in tests over an in-process transport: time is
    looked at with every request, and deliveries start with the first event.
    """
    world = World(VIEWS, state)
    deadlines.begin(world)
    courier = Courier(world)
    world.events.on_owed = courier.wake
    request_log = RequestLog(log)
    faults = Faults()
    api = Api(world, IdempotencyKeys(world.store, world.clock), request_log, faults)
    checkout, onboarding = CheckoutPages(world), OnboardingPages(world)
    control = Control(world, request_log, courier, faults)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        courier.start()
        ticking = asyncio.create_task(_keep_time(world))
        try:
            yield
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
            await courier.stop()

    return Starlette(
        routes=[
            Route("/v1/{rest:path}", api.handle, methods=["GET", "POST", "DELETE"]),
            Route("/v2/{rest:path}", api.handle, methods=["GET", "POST", "DELETE"]),
            *checkout.routes(),
            *onboarding.routes(),
            *control.routes(),
        ],
        lifespan=lifespan,
    )


async def _keep_time(world: World) -> None:
    while True:
        deadlines.meet(world)
        await asyncio.sleep(_TICK_SECONDS)
