"""Reads a page's form and fills it in, as a browser would."""

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Self


class Form(HTMLParser):
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
        return form

    def asks_for(self, meaning: str) -> bool:
        """`meaning`: a field's `autocomplete`, by which browsers know what belongs there."""
        return meaning in self._meanings

    def filled(self, typed: Mapping[str, str]) -> dict[str, str]:
        """What is sent: `typed`, by meaning, over what stood in the fields already."""
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
