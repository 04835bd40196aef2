"""Conditional requests and compression (RFC 9110, sections 13 and 8.4), for what anyone may read.

A revalidated route lets clients keep its response, and ask whether it is still current. All other responses are
`no-store`, so they have no `ETag`: a client must not keep them.
"""

import hashlib
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REVALIDATED = "holdfast.revalidated"
"""In the ASGI scope of a request to such a route. A stream is `no-cache` as well, and must not be collected."""
_MINIMUM_BYTES = 1024
_COMPRESSION_LEVEL = 5
_KEPT = ("etag", "cache-control", "vary")
"""Headers of a 304 (RFC 9110, section 15.4.5)."""


async def revalidate(
    request: Request,
    response: Response,
    if_none_match: Annotated[str | None, Header(description="The `ETag` of the response that you have.")] = None,
) -> None:
    """`ETagMiddleware` compares the header, since the response has no body yet."""
    request.scope[_REVALIDATED] = True
    response.headers["Cache-Control"] = "no-cache"


_ETAG = {"ETag": {"description": "Send it as `If-None-Match`.", "schema": {"type": "string"}}}

REVALIDATED: dict[str, Any] = {
    "dependencies": [Depends(revalidate)],
    "responses": {
        200: {"headers": _ETAG},
        304: {"description": "The response that you have is current.", "headers": _ETAG},
    },
}
"""Arguments of a route whose response clients may keep, and revalidate."""


class ETagMiddleware:
    """Adds a weak `ETag` to revalidated responses, and answers 304 to a client that has the current one.

    Weak, since a compressed response has the same one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = bytearray()

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                if message["status"] == 200 and scope.get(_REVALIDATED):
                    start = message
                    return
            elif start is not None:
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    await _respond(start, bytes(body), Headers(scope=scope).get("If-None-Match", ""), send)
                return
            await send(message)

        await self._app(scope, receive, collect)


async def _respond(start: Message, body: bytes, known: str, send: Send) -> None:
    headers = MutableHeaders(raw=start["headers"])
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers["ETag"] = etag
    if etag.removeprefix("W/") in {each.strip().removeprefix("W/") for each in known.split(",")}:
        start["status"], body = 304, b""
        for name in set(headers) - set(_KEPT):
            del headers[name]
    await send(start)
    await send({"type": "http.response.body", "body": body})


class CompressionMiddleware:
    """gzip for the API's responses.

    Not for pages: a compressed page with a secret and with text that others choose reveals the secret by its length.
    The API is called with a bearer token, which a browser does not send by itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressed = GZipMiddleware(app, _MINIMUM_BYTES, _COMPRESSION_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_api = scope["type"] == "http" and scope["path"].startswith("/v1/")
        await (self._compressed if is_api else self._app)(scope, receive, send)
