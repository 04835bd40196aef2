"""The catcher's pages, for people and (as JSON) for tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.mail.catcher import Catcher, Caught

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
_OUR_PAGE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'"}
# A mail is somebody else's page: no scripts, no forms, nothing loaded, no origin, whoever opens it.
_THEIR_PAGE = {"Content-Security-Policy": "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'"}


class MailPages:
    def __init__(self, catcher: Catcher) -> None:
        self._catcher = catcher

    def routes(self) -> list[Route]:
        return [
            Route("/", self.listing),
            Route("/health", self.health),
            Route("/mails.json", self.as_json),
            Route("/mails/{number:int}", self.one),
            Route("/mails/{number:int}/html", self.html),
            Route("/mails/{number:int}/session.ics", self.calendar),
            Route("/mails/{number:int}/source", self.source),
        ]

    async def health(self, _: Request) -> Response:
        return PlainTextResponse("ok")

    async def listing(self, _: Request) -> Response:
        return _page("list.html", mails=list(self._catcher.latest()))

    async def one(self, request: Request) -> Response:
        caught = self._asked(request)
        has = {kind: caught.body(kind) is not None for kind in ("html", "calendar")}
        return _page("mail.html", caught=caught, text=caught.body("plain") or "", has=has)

    async def html(self, request: Request) -> Response:
        return HTMLResponse(self._body(request, "html"), headers=_HEADERS | _THEIR_PAGE)

    async def calendar(self, request: Request) -> Response:
        return Response(self._body(request, "calendar"), media_type="text/calendar", headers=_HEADERS)

    async def source(self, request: Request) -> Response:
        return PlainTextResponse(self._asked(request).content, headers=_HEADERS)

    async def as_json(self, request: Request) -> Response:
        """The newest first; `?to=` leaves those to one address."""
        to = request.query_params.get("to")
        mails = [_json(each) for each in self._catcher.latest() if to is None or to in each.recipients]
        return JSONResponse(mails, headers=_HEADERS)

    def _asked(self, request: Request) -> Caught:
        caught = self._catcher.get(request.path_params["number"])
        if caught is None:
            raise HTTPException(404, "There is no such mail, or it made room for others.")
        return caught

    def _body(self, request: Request, kind: str) -> str:
        body = self._asked(request).body(kind)
        if body is None:
            raise HTTPException(404, "The mail has no such part.")
        return body


def create_app(catcher: Catcher, host: str, smtp_port: int) -> Starlette:
    """Pages and SMTP in one event loop. The SMTP server is there while the app runs."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        server = await asyncio.get_running_loop().create_server(catcher.protocol, host, smtp_port)
        async with server:
            yield

    return Starlette(routes=MailPages(catcher).routes(), lifespan=lifespan)


def _page(template: str, **values: object) -> Response:
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(**values), headers=_HEADERS | _OUR_PAGE)


def _json(caught: Caught) -> dict[str, Any]:
    return {
        "number": caught.number,
        "at": caught.at.isoformat(),
        "message_id": caught.header("Message-ID"),
        "from": caught.header("From"),
        "to": list(caught.recipients),
        "subject": caught.header("Subject"),
        "text": caught.body("plain"),
        "html": caught.body("html"),
        "calendar": caught.body("calendar"),
    }
