"""The meeting page, to join, leave and upload a recording. Every action is reported to the webhook.

The server is stateless: the page itself has the id of the participant's connection.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.meeting.reports import Reporter
from sandbox.meeting.tokens import AccessDenied, Participant, verify_token

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True)
class Meetings:
    app_id: str
    secret: str
    reporter: Reporter

    async def enter(self, request: Request) -> Response:
        """Show the page, or a 403 with the reason."""
        return await self._page(request, "")

    async def act(self, request: Request) -> Response:
        """Join, leave or upload a recording."""
        form = await request.form()
        return await self._page(request, str(form.get("action")), str(form.get("connection", "")))

    async def _page(self, request: Request, action: str, connection: str = "") -> Response:
        room = request.path_params["room"]
        try:
            participant = verify_token(
                request.query_params.get("jwt", ""),
                room,
                self.app_id,
                self.secret,
                str(request.url.hostname),
                is_inside=bool(connection),
            )
            connection = await self._report(action, room, participant, connection)
        except AccessDenied as denied:
            return _html(403, problem=str(denied))
        except httpx.HTTPError:
            return _html(502, problem="The webhook did not take the report")
        return _html(200, room=room, participant=participant, connection=connection)

    async def _report(self, action: str, room: str, participant: Participant, connection: str) -> str:
        """Report an action. Returns the participant's connection after it, or an empty string."""
        match action:
            case "join":
                connection = str(uuid4())
                await self.reporter.joined(room, participant, connection)
            case "leave":
                await self.reporter.left(room, participant, connection)
                connection = ""
            case "record":
                if not participant.may_record:
                    raise AccessDenied("Only the moderator may record, and only a session that is to be recorded")
                await self.reporter.recording_uploaded(room, participant)
        return connection


def create_app(app_id: str, secret: str, webhook_url: str, webhook_secret: str, http: httpx.AsyncClient) -> Starlette:
    """`http` sends the reports. The app closes it at shutdown."""
    meetings = Meetings(app_id, secret, Reporter(http, webhook_url, app_id, webhook_secret))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with http:
            yield

    return Starlette(
        routes=[
            Route("/_sandbox/health", _health),
            Route("/{room}", meetings.enter, methods=["GET"]),
            Route("/{room}", meetings.act, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


async def _health(_: Request) -> Response:
    return JSONResponse({"ok": True})


def _html(status: int, **values: object) -> HTMLResponse:
    values = {"problem": None, "room": "", "participant": None, "connection": ""} | values
    return HTMLResponse(_TEMPLATES.get_template("page.html").render(**values), status, _HEADERS)
