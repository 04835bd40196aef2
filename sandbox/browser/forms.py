"""Parses a page's form and fills it in, as a browser's autofill would."""

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Self


class Form(HTMLParser):
    """The first form of a page: its action and its fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self._fields: dict[str, str] = {}
        self._names: dict[str, str] = {}  # by `autocomplete`
        self._forms = 0

    @classmethod
    def of(cls, page: str) -> Self:
        form = cls()
        form.feed(page)
        return form

    def has_field(self, autocomplete: str) -> bool:
        """Return whether a field has this `autocomplete` attribute."""
        return autocomplete in self._names

    def filled(self, values: Mapping[str, str]) -> dict[str, str]:
        """The form data to submit: the page's values, updated with `values`, which are keyed by `autocomplete`."""
        return self._fields | {
            self._names[autocomplete]: text for autocomplete, text in values.items() if autocomplete in self._names
        }

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            self._forms += 1
            if self._forms == 1:
                self.action = attributes.get("action") or ""
        elif tag == "input" and self._forms == 1 and (name := attributes.get("name")):
            self._fields[name] = attributes.get("value") or ""
            if autocomplete := attributes.get("autocomplete"):
                self._names[autocomplete] = name
