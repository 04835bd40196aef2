"""Parses a page's form and fills it in, as a browser's autofill would."""

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Self


class Form(HTMLParser):
    """A form of a page: its action and its fields."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__()
        self.action = ""
        self._id = id
        self._fields: dict[str, str] = {}
        self._names: dict[str, str] = {}  # by `autocomplete`
        self._is_inside = False

    @classmethod
    def of(cls, page: str, id: str | None = None) -> Self:
        """The form with this id, or the first one. Without an action, the page has no such form."""
        form = cls(id)
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
            self._is_inside = not self.action and self._id in (None, attributes.get("id"))
            if self._is_inside:
                self.action = attributes.get("action") or ""
        elif tag == "input" and self._is_inside and (name := attributes.get("name")):
            self._fields[name] = attributes.get("value") or ""
            if autocomplete := attributes.get("autocomplete"):
                self._names[autocomplete] = name
