"""A browser without scripts: it keeps cookies, reads forms, and sends them with what is typed."""

import re
from dataclasses import dataclass
from html import unescape

import httpx
from fastapi import FastAPI

from api.pages.browser import SESSION, VISITOR, form_token
from tests.api.world import Person

_FORM = re.compile(r'<form method="post" action="([^"]*)".*?</form>', re.DOTALL)
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)"')


DOMAIN = "holdfast.test"


def session_of(person: Person) -> str:
    """The value of the session's cookie."""
    return person.headers["Authorization"].removeprefix("Bearer ")


@dataclass
class Browser:
    """`client` is one visitor: its cookies are the browser's."""

    client: httpx.AsyncClient

    def __post_init__(self) -> None:
        self.client.headers["Accept"] = "text/html,application/xhtml+xml,*/*;q=0.8"

    def sign_in(self, person: Person) -> None:
        """As a sign-in does: the session's cookie holds the person's token."""
        self.client.cookies.set(SESSION, session_of(person), domain=DOMAIN)

    def become(self, person: Person | None) -> None:
        """Another visitor, signed in as this person."""
        self.client.cookies.clear()
        self.client.cookies.set(VISITOR, "a visitor", domain=DOMAIN)
        if person:
            self.sign_in(person)

    def form_token(self, app: FastAPI) -> str:
        return form_token(app.state.settings, {each.name: each.value or "" for each in self.client.cookies.jar})

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self.client.get(path, params=query or None)

    async def submit(self, page: httpx.Response, action: str, **typed: str) -> httpx.Response:
        """Send the page's form with this action, with its hidden fields. Does not follow the redirect."""
        fields = hidden(page, action) | typed
        return await self.client.post(action, data=fields)

    async def fill(self, path: str, **typed: str) -> httpx.Response:
        """The form of a page that is sent to the page's own path."""
        return await self.submit(await self.get(path), path.partition("?")[0], **typed)

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        assert answer.status_code == 303, answer.text
        return await self.client.get(answer.headers["location"])


def hidden(page: httpx.Response, action: str) -> dict[str, str]:
    forms = {found[1]: found[0] for found in _FORM.finditer(page.text)}
    return {name: unescape(value) for name, value in _HIDDEN.findall(forms[action])}


def text_of(page: httpx.Response) -> str:
    """What is read: without tags, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())
