"""The composition root: the sandbox as an ASGI app with the API, the pages and the control endpoints."""

import asyncio
import contextlib
import os
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
from sandbox.stripe.pages.clock import ClockPage
from sandbox.stripe.pages.onboarding import OnboardingPages
from sandbox.stripe.request_log import RequestLog
from sandbox.stripe.subscriptions import subscribe
from sandbox.stripe.views import VIEWS
from sandbox.stripe.webhook_delivery import WebhookDelivery

_TICK_SECONDS = 0.25


def create_app(
    log: Path | None = None,
    state: Path | None = None,
    *,
    strict_version: bool = False,
    public_url: str | None = None,
    deliver_to: str | None = None,
) -> Starlette:
    """A new sandbox. `log` is a file for one JSON line per API request, `state` a file that keeps the state.

    Links to its pages begin with `public_url`, or with the address of the request that creates them. `deliver_to` is an
    API that gets all events from the start on.

    Requests of another API version are answered in the shape of the pinned one, or refused with `strict_version`.

    The app also works without lifespan events, as in tests with an in-process transport: every request runs what is
    due, and deliveries start with the first event.
    """
    context = Context(VIEWS, state, strict_version=strict_version)
    deadlines.schedule_initial(context)
    if deliver_to:
        subscribe(context, deliver_to, os.environ)
    delivery = WebhookDelivery(context)
    context.events.on_enqueue = delivery.wake
    request_log = RequestLog(log)
    faults = Faults()
    api = Api(context, IdempotencyKeys(context.store, context.clock), request_log, faults, public_url)
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
            *ClockPage(control).routes(),
        ],
        lifespan=lifespan,
    )


async def _run_due_timers(context: Context) -> None:
    while True:
        deadlines.run_due(context)
        await asyncio.sleep(_TICK_SECONDS)
