"""The sandbox's front page: its time, and buttons to advance it, so that a payout need not be waited for."""

from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe.control import Control
from sandbox.stripe.pages.rendering import page

_SEE_OTHER: Final = 303
_STEPS: Final = {"An hour": 3_600, "A day": 86_400, "A week": 604_800}


class ClockPage:
    def __init__(self, control: Control) -> None:
        self._control = control

    def routes(self) -> list[Route]:
        return [Route("/", self.show, methods=["GET"]), Route("/", self.advance, methods=["POST"])]

    async def show(self, _: Request) -> Response:
        clock = self._control.read_clock({})
        now = datetime.fromtimestamp(clock["now"], UTC)
        return page("clock.html", now=f"{now:%Y-%m-%d %H:%M} UTC", is_ahead=clock["offset_seconds"] > 0, steps=_STEPS)

    async def advance(self, request: Request) -> Response:
        step = _STEPS.get(str((await request.form()).get("step")), 0)
        self._control.move_clock({"advance_seconds": step})
        return RedirectResponse("/", _SEE_OTHER)
