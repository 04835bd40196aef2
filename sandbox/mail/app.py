"""The catcher's web pages, and the same mails as JSON for tests."""

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

from sandbox.mail.catcher import Catcher, CaughtMail

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
_PAGE_POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'"}
# A mail is untrusted HTML: no scripts, no forms, no subresources and no origin, also if it is opened directly.
_MAIL_POLICY = {"Content-Security-Policy": "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'"}


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
        mail = self._find(request)
        has = {kind: mail.body(kind) is not None for kind in ("html", "calendar")}
        return _page("mail.html", mail=mail, text=mail.body("plain") or "", has=has)

    async def html(self, request: Request) -> Response:
        return HTMLResponse(self._body(request, "html"), headers=_HEADERS | _MAIL_POLICY)

    async def calendar(self, request: Request) -> Response:
        return Response(self._body(request, "calendar"), media_type="text/calendar", headers=_HEADERS)

    async def source(self, request: Request) -> Response:
        return PlainTextResponse(self._find(request).content, headers=_HEADERS)

    async def as_json(self, request: Request) -> Response:
        """Mails, newest first. `?to=` filters by recipient."""
        to = request.query_params.get("to")
        mails = [_json(mail) for mail in self._catcher.latest() if to is None or to in mail.recipients]
        return JSONResponse(mails, headers=_HEADERS)

    def _find(self, request: Request) -> CaughtMail:
        mail = self._catcher.get(request.path_params["number"])
        if mail is None:
            raise HTTPException(404, "There is no such mail, or it made room for others.")
        return mail

    def _body(self, request: Request, kind: str) -> str:
        body = self._find(request).body(kind)
        if body is None:
            raise HTTPException(404, "The mail has no such part.")
        return body


def create_app(catcher: Catcher, host: str, smtp_port: int) -> Starlette:
    """The web app. Its SMTP server runs in the same event loop, from startup until shutdown."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        server = await asyncio.get_running_loop().create_server(catcher.protocol, host, smtp_port)
        async with server:
            yield

    return Starlette(routes=MailPages(catcher).routes(), lifespan=lifespan)


def _page(template: str, **values: object) -> Response:
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(**values), headers=_HEADERS | _PAGE_POLICY)


def _json(mail: CaughtMail) -> dict[str, Any]:
    return {
        "number": mail.number,
        "at": mail.at.isoformat(),
        "message_id": mail.header("Message-ID"),
        "from": mail.header("From"),
        "to": list(mail.recipients),
        "subject": mail.header("Subject"),
        "text": mail.body("plain"),
        "html": mail.body("html"),
        "calendar": mail.body("calendar"),
    }
