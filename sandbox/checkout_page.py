"""Pays on the sandbox's Checkout page the way a browser does: reads the form, fills it in, sends it."""

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin

import httpx

GOOD_CARD = "4242424242424242"
POOR_CARD = "4000000000009995"
"""Declined for insufficient funds."""

# As a browser fills a form in: by what the fields say they are.
_TYPED = {"cc-exp": "12 / 34", "cc-csc": "123", "cc-name": "A. Student", "email": "student@students.example"}


class CheckoutClosed(Exception):
    """The Checkout Session has expired, or is paid."""


async def pay(checkout_url: str, card: str = GOOD_CARD) -> bool:
    """Whether the page took the card. Raises `CheckoutClosed` when it no longer asks for one."""
    async with httpx.AsyncClient(follow_redirects=False) as browser:
        page = await browser.get(checkout_url)
        if page.status_code == httpx.codes.GONE:
            raise CheckoutClosed(checkout_url)
        page.raise_for_status()
        form = _Form.of(page.text)
        filled = form.filled(_TYPED | {"cc-number": card})
        answer = await browser.post(urljoin(checkout_url, form.action), data=filled)
    if answer.is_server_error:
        answer.raise_for_status()
    return answer.is_redirect


class _Form(HTMLParser):
    """The first form of a page: where it goes and what it asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self._fields: dict[str, str] = {}
        self._meanings: dict[str, str] = {}
        self._forms = 0

    @classmethod
    def of(cls, page: str) -> Self:
        form = cls()
        form.feed(page)
        if "cc-number" not in form._meanings:
            raise CheckoutClosed("the page asks for no card")
        return form

    def filled(self, typed: Mapping[str, str]) -> dict[str, str]:
        return self._fields | {
            self._meanings[meaning]: text for meaning, text in typed.items() if meaning in self._meanings
        }

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._forms += 1
            if self._forms == 1:
                self.action = given.get("action") or ""
        elif tag == "input" and self._forms == 1 and (name := given.get("name")):
            self._fields[name] = given.get("value") or ""
            if meaning := given.get("autocomplete"):
                self._meanings[meaning] = name
