"""One page for one browser: who reads it, in which language and time zone, and how it is answered."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode, urlsplit
from uuid import uuid4
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from api.http.auth import Caller, authenticated_caller, issue_token
from api.http.content_negotiation import preferred_language
from api.http.database import WithDatabase
from api.pages import browser, templates
from api.pages.browser import FLASH, LANGUAGE, SESSION, VISITOR, ZONE, PageRoute, require_own_form
from api.pages.forms import Typed
from api.pages.sentences import retold
from api.people import queries
from api.people.queries import Account
from api.settings import Settings
from models.domain.actors import Role
from models.domain.zones import names, zone
from models.languages import LANGUAGES, Language, find

SESSION_LASTS = timedelta(hours=12)
"""After that, people sign in again. A sign-out, a new password and a suspension end it earlier, as any token."""
_PREFERENCE_LASTS = timedelta(days=365)

R = TypeVar("R", bound=Response)

_HEADERS = {
    # No `form-action`: browsers apply it to redirects as well, and a booking's form leads to Stripe's Checkout.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    # With `no-referrer`, browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Vary": "Accept-Language, Cookie",
}


class Page:
    """What every page needs. `show` and `redirect` are its two answers."""

    def __init__(self, request: Request, caller: Caller | None = None, account: Account | None = None) -> None:
        self._request = request
        self._cookies: Mapping[str, str] = request.cookies
        self.settings: Settings = request.app.state.settings
        self.caller = caller
        self.account = account
        self._new_cookies: dict[str, tuple[str, timedelta]] = {}
        self._gone: set[str] = set()
        if VISITOR not in self._cookies:
            self.set_cookie(VISITOR, uuid4().hex, _PREFERENCE_LASTS)

    @cached_property
    def language(self) -> Language:
        """The one in the link, else the person's, else the one chosen in this browser, else the browser's own."""
        person = self.account.person.language if self.account else ""
        chosen = (self._request.query_params.get("language", ""), person, self._cookies.get(LANGUAGE, ""))
        found = next((each for tag in chosen if tag and (each := find(tag))), None)
        return found or preferred_language(self._request.headers.get("Accept-Language", ""))

    @cached_property
    def zone(self) -> ZoneInfo:
        """The person's, else the one chosen in this browser, else UTC."""
        if self.account:
            return zone(self.account.person.time_zone)
        chosen = self._cookies.get(ZONE, "")
        return zone(chosen) if chosen in names() else ZoneInfo("UTC")

    @property
    def role(self) -> Role | None:
        return self.caller.role if self.caller else None

    @property
    def path(self) -> str:
        """This page, to come back to."""
        query = self._request.url.query
        return self._request.url.path + (f"?{query}" if query else "")

    def say(self, message: str, /, **values: object) -> str:
        return self.language.gettext(message, **values)

    def retold(self, sentence: str) -> str:
        """A sentence of the domain, for this reader. One that nobody knows stays as it is."""
        return retold(sentence, self) or sentence

    def url(self, path: str, **query: object) -> str:
        """A link to one of our paths, without empty parameters. The site may be served below a path of its host."""
        prefix = (urlsplit(str(self.settings.http.holdfast_public_url)).path or "").rstrip("/")
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{prefix}{path}" + (f"?{urlencode(given)}" if given else "")

    def show(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        flash = browser.unseal(self.settings, FLASH, self._cookies.get(FLASH, ""))
        if FLASH in self._cookies:
            self._gone.add(FLASH)
        context = {
            "page": self,
            "url": self.url,
            "now": datetime.now(UTC),
            "flashes": json.loads(flash) if flash else [],
            "form_token": browser.form_token(self.settings, self._next_cookies),
            "typed": Typed(),
            "platform": self.settings.documents.holdfast_platform_name,
            "languages": LANGUAGES,
        }
        body = templates.render(template, self.language, context | values)
        return self._answer(HTMLResponse(body, status, _HEADERS | {"Content-Language": self.language.code}))

    def redirect(self, path: str, flash: str | None = None) -> Response:
        """The answer to a form that was accepted: a page to read, which a reload does not send again."""
        if flash:
            self.set_cookie(FLASH, browser.seal(self.settings, FLASH, json.dumps([flash])), timedelta(minutes=5))
        return self._answer(RedirectResponse(self.url(browser.local_path(path)), 303))

    def redirect_away(self, url: str) -> Response:
        """To Stripe, to a meeting, or to the identity provider. Never to an address that a request contains."""
        return self._answer(RedirectResponse(url, 303))

    def sign_in(self, caller: Caller) -> None:
        """Start a session with the next answer. A new cookie for the forms, too: those of before are void."""
        secret = self.settings.http.holdfast_token_secret.get_secret_value()
        token = issue_token(secret, caller.role, caller.id, SESSION_LASTS, caller.generation)
        self.start_session(token, SESSION_LASTS)

    def start_session(self, token: str, lasts: timedelta) -> None:
        self._gone.discard(SESSION)
        self.set_cookie(SESSION, token, lasts)
        self.set_cookie(VISITOR, uuid4().hex, _PREFERENCE_LASTS)

    def end_session(self) -> None:
        self._gone.add(SESSION)
        self.set_cookie(VISITOR, uuid4().hex, _PREFERENCE_LASTS)

    def choose(self, language: str | None, time_zone: str | None) -> None:
        """For a browser whose reader has no account."""
        if language and find(language):
            self.set_cookie(LANGUAGE, language, _PREFERENCE_LASTS)
        if time_zone in names():
            self.set_cookie(ZONE, time_zone, _PREFERENCE_LASTS)

    def set_cookie(self, name: str, value: str, lasts: timedelta) -> None:
        self._new_cookies[name] = (value, lasts)

    def cookie(self, name: str) -> str:
        return self._cookies.get(name, "")

    def drop_cookie(self, name: str) -> None:
        self._gone.add(name)

    @property
    def _next_cookies(self) -> dict[str, str]:
        """The browser's cookies after this answer."""
        kept = {name: value for name, value in self._cookies.items() if name not in self._gone}
        return kept | {name: value for name, (value, _) in self._new_cookies.items()}

    def _answer(self, response: R) -> R:
        path = self.url("/")
        secure = self.settings.http.holdfast_public_url.scheme == "https"
        for name in self._gone - self._new_cookies.keys():
            response.delete_cookie(name, path=path, secure=secure, httponly=True, samesite="lax")
        for name, (value, lasts) in self._new_cookies.items():
            age = int(lasts.total_seconds())
            response.set_cookie(name, value, age, path=path, secure=secure, httponly=True, samesite="lax")
        return response


async def _page(request: Request, database: WithDatabase) -> Page:
    """One per request, kept on it, so that an error's page is for the same reader."""
    if not hasattr(request.state, "page"):
        caller = await authenticated_caller(request)
        account = None
        if caller is not None and caller.role is not Role.OPERATOR:
            async with database.reading() as session:
                account = await queries.account(session, caller.id)
        request.state.page = Page(request, caller, account)
        if caller is None and SESSION in request.cookies:
            # It has ended. An error before this line says nothing about it.
            request.state.page.drop_cookie(SESSION)
    page: Page = request.state.page
    return page


WithPage = Annotated[Page, Depends(_page)]


def page_router() -> APIRouter:
    """A router whose routes are pages."""
    return APIRouter(
        route_class=PageRoute, include_in_schema=False, dependencies=[Depends(_page), Depends(require_own_form)]
    )
