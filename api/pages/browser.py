"""How a browser's request becomes one that the API's routes understand.

The session cookie holds a bearer token, and a form's key is an `Idempotency-Key`. So a page depends on the same
`AsStudent`, `WithDecisionHandler` and so on as a route, and calls the same functions. The API itself reads no cookie.
"""

import base64
import hmac
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import SecretStr

from api.http.auth import signing_keys
from api.http.problems import Kind, Problem
from api.settings import Settings

SESSION, VISITOR, FLASH, LANGUAGE, ZONE = (
    f"holdfast_{name}" for name in ("session", "visitor", "flash", "language", "zone")
)
FORM_TOKEN, FORM_KEY = "form_token", "idempotency_key"

_SAFE = ("GET", "HEAD")
_REPLACED = (b"authorization", b"idempotency-key")
_MAX_FIELDS = 200


class PageRoute(APIRoute):
    """A route for browsers: signed in by cookie, and forms are accepted from our own pages only."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_browser(request: Request) -> Response:
            typed = {} if request.method in _SAFE else await _read_form(request)
            request.scope["headers"] = _as_api_headers(request, typed.get(FORM_KEY))
            # Another request object, because this one has read the headers already.
            request = Request(request.scope, request.receive)
            request.state.typed = typed
            return await handle(request)

        return handle_browser


async def require_own_form(request: Request) -> None:
    """Raises the 403 `Problem` for a form that is not from one of this browser's pages."""
    if request.method not in _SAFE:
        expected = form_token(request.app.state.settings, request.cookies).encode()
        if not expected or not hmac.compare_digest(expected, request.state.typed.get(FORM_TOKEN, "").encode()):
            raise Problem(Kind.FORM_EXPIRED)


def form_token(settings: Settings, cookies: Mapping[str, str]) -> str:
    """The token of the forms on a browser's pages. It ends with the session, and with the browser's cookies.

    Empty for a browser without cookies. See OWASP's "Cross-Site Request Forgery Prevention", signed double submit.
    """
    visitor = cookies.get(VISITOR)
    if not visitor:
        return ""
    return _signature(settings.http.holdfast_token_secret, "form", f"{visitor} {cookies.get(SESSION, '')}")


def seal(settings: Settings, purpose: str, text: str) -> str:
    """A value for a cookie that only we can have written."""
    encoded = base64.urlsafe_b64encode(text.encode()).decode()
    return f"{encoded}.{_signature(settings.http.holdfast_token_secret, purpose, encoded)}"


def unseal(settings: Settings, purpose: str, value: str) -> str | None:
    """The text, or `None` for a value that somebody else wrote."""
    encoded, _, signature = value.partition(".")
    expected = _signature(settings.http.holdfast_token_secret, purpose, encoded)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        return None
    return base64.urlsafe_b64decode(encoded).decode()


def local_path(text: str, default: str = "/") -> str:
    """`text` if it is a path of this site, so that no link can make us redirect to another one."""
    is_local = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if is_local else default


def _signature(secret: SecretStr, purpose: str, text: str) -> str:
    key = signing_keys(secret.get_secret_value())[0].encode()
    return hmac.digest(key, f"holdfast {purpose}: {text}".encode(), "sha256").hex()


async def _read_form(request: Request) -> dict[str, str]:
    """The fields of an urlencoded form. Of a name that is sent twice, the last one counts."""
    try:
        text = (await request.body()).decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"))
    except ValueError as error:
        raise Problem(Kind.BAD_REQUEST) from error


def _as_api_headers(request: Request, key: str | None) -> list[tuple[bytes, bytes]]:
    headers = [(name, value) for name, value in request.scope["headers"] if name not in _REPLACED]
    if session := request.cookies.get(SESSION):
        headers.append((b"authorization", f"Bearer {session}".encode("latin-1", "replace")))
    if key:
        headers.append((b"idempotency-key", key.encode("latin-1", "replace")))
    return headers
