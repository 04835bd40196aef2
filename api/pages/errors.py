"""Errors as pages: what the API answers as a problem document, a browser gets as a page in the reader's language."""

import json
from urllib.parse import quote

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.content_negotiation import JSON, preferred
from api.http.problems import MEDIA_TYPE, Kind
from api.pages.browser import FORM_TOKEN, form_token
from api.pages.forms import sentence
from api.pages.page import Page

HTML = "text/html"
_KEPT = ("retry-after", "allow")
_KINDS = {kind.uri: kind for kind in Kind}
_API = "/v1/"
_MAY_WORK_LATER = 500
"""From this status on, and after too many requests, the same form may be accepted later."""
_SECRETS = ("password", "token")


def wants_page(accept: str) -> bool:
    """Whether a browser asks. Programs accept JSON, or anything."""
    return preferred(accept, (JSON, HTML)) == HTML


class PageErrors:
    """ASGI middleware. A problem outside of the API's paths becomes a page, for a request that prefers HTML."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and not scope["path"].startswith(_API)
        if not is_page or not wants_page(Headers(scope=scope).get("accept", "")):
            await self._app(scope, receive, send)
            return
        problem: Message | None = None
        body = b""

        async def hold_back(message: Message) -> None:
            nonlocal problem, body
            if message["type"] == "http.response.start" and _is_problem(message):
                problem = message
            elif problem is None:
                await send(message)
            else:
                body += message.get("body", b"")

        await self._app(scope, receive, hold_back)
        if problem is not None:
            response = _page_of(json.loads(body), Request(scope))
            for name in _KEPT:
                if value := Headers(raw=problem["headers"]).get(name):
                    response.headers[name] = value
            await response(scope, receive, send)


def _is_problem(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type") == MEDIA_TYPE


def _page_of(problem: dict[str, str], request: Request) -> Response:
    page: Page = getattr(request.state, "page", None) or Page(request)
    kind = _KINDS.get(problem["type"], Kind.BAD_REQUEST)
    if kind is Kind.NOT_SIGNED_IN and request.method == "GET" and page.settings.http.holdfast_pages:
        return page.redirect(f"/sign-in?next={quote(page.path, safe='/')}")
    text = sentence(kind, problem.get("detail", ""), page)
    return page.show(
        "error.html",
        int(problem["status"]),
        kind=kind,
        text=text,
        request_id=problem["request_id"],
        path=request.url.path,
        again=_sent_again(request, kind, page),
    )


def _sent_again(request: Request, kind: Kind, page: Page) -> dict[str, str]:
    """The fields of a form to send once more. Only of a form of this browser's pages, and without its secrets."""
    typed: dict[str, str] = getattr(request.state, "typed", {})
    is_own = typed and typed.get(FORM_TOKEN) == form_token(page.settings, request.cookies)
    if not is_own or (kind is not Kind.RATE_LIMITED and kind.status < _MAY_WORK_LATER):
        return {}
    if any(secret in name for name in typed.keys() - {FORM_TOKEN} for secret in _SECRETS):
        return {}
    return {name: value for name, value in typed.items() if name != FORM_TOKEN}
