"""The composition root: the sandbox as an ASGI app with the API, the two pages and the control endpoints."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Route

from sandbox.stripe import deadlines
from sandbox.stripe.api import Api
from sandbox.stripe.context import Context
from sandbox.stripe.control import Control
from sandbox.stripe.faults import Faults
from sandbox.stripe.idempotency import IdempotencyKeys
from sandbox.stripe.pages.checkout import CheckoutPages
from sandbox.stripe.pages.onboarding import OnboardingPages
from sandbox.stripe.request_log import RequestLog
from sandbox.stripe.views import VIEWS
from sandbox.stripe.webhook_delivery import WebhookDelivery

_TICK_SECONDS = 0.25


def create_app(log: Path | None = None, state: Path | None = None, *, strict_version: bool = False) -> Starlette:
    """A new sandbox. `log` is a file for one JSON line per API request, `state` a file that keeps the state.

    Requests of another API version are answered in the shape of the pinned one, or refused with `strict_version`.

    The app also works without lifespan events, as in tests with an in-process transport: every request runs what is
    due, and deliveries start with the first event.
    """
    context = Context(VIEWS, state, strict_version=strict_version)
    deadlines.schedule_initial(context)
    delivery = WebhookDelivery(context)
    context.events.on_enqueue = delivery.wake
    request_log = RequestLog(log)
    faults = Faults()
    api = Api(context, IdempotencyKeys(context.store, context.clock), request_log, faults)
    checkout, onboarding = CheckoutPages(context), OnboardingPages(context)
    control = Control(context, request_log, delivery, faults)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        delivery.start()
        ticking = asyncio.create_task(_run_due_timers(context))
        try:
            yield
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
            await delivery.stop()

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


async def _run_due_timers(context: Context) -> None:
    while True:
        deadlines.run_due(context)
        await asyncio.sleep(_TICK_SECONDS)
