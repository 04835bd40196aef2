"""The domain's and the API's sentences, for people: in their language, with times in their zone and without API terms.

Workflows refuse in whole English sentences, and records keep them as reasons. Clients and histories have them, so they
stay as they are. Here a sentence is recognized by its pattern, and said again with its values.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol
from zoneinfo import ZoneInfo

from api.pages import attention_reasons, refusals
from models.domain.decisions import Stage
from models.domain.money import Money, exponent
from models.domain.reconciliation import ATTENTION_PREFIX, Book
from models.languages import Language

_AMOUNT = r"-?\d+(?:\.\d+)? [A-Z]{3}"
_VALUES: Mapping[str, str] = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "day": r"\d{4}-\d\d-\d\d",
    "amount": _AMOUNT,
    "limit": _AMOUNT,
    "currency": r"[a-z]{3}",
    "count": r"\d+",
    "window": r"\d+",
    "seconds": r"\d+",
    "stage": "|".join(map(re.escape, Stage)),
    "book": "|".join(map(re.escape, Book)),
    "status": r"\w+",
    "other_status": r"\w+",
    "step": r"[a-z]+(?:_[a-z]+)*",
    "code": r"\w+",
    "id": r"\S+",
    "failure": r".+",
}
"""What each placeholder of a pattern stands for."""
_BOOKS: Mapping[str, str] = {
    Book.CARD_HOLDS: "Held on cards",
    Book.STRIPE_BALANCE: "Platform's balance at Stripe",
    Book.TRANSFERS: "Transferred to instructors",
    Book.CONNECTED_BALANCE: "Instructors' balances at Stripe",
}
_PLACEHOLDER = re.compile(r"%\((\w+)\)s")


class Reader(Protocol):
    @property
    def language(self) -> Language: ...
    @property
    def zone(self) -> ZoneInfo: ...


def retold(sentence: str, reader: Reader) -> str | None:
    """`None` if the sentence is not one of the known ones."""
    sentence = sentence.removeprefix(ATTENTION_PREFIX)
    if sentence in _FIXED:
        return reader.language.gettext(_FIXED[sentence])
    for pattern, shown in _WITH_VALUES:
        if found := pattern.fullmatch(sentence):
            values = {name: _value(name, text, reader) for name, text in found.groupdict().items()}
            return reader.language.gettext(shown, **values)
    return None


def texts() -> Iterator[str]:
    """Everything that is said here, in English."""
    yield from (shown for _, shown in table())
    yield from Stage


def table() -> Iterator[tuple[str, str]]:
    """Patterns, and what people read instead. The first that matches counts."""
    for module in (refusals, attention_reasons):
        yield from ((text, text) for text in module.AS_THEY_ARE)
        yield from module.RETOLD


def _compiled(pattern: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(pattern)
    parts[0::2] = map(re.escape, parts[0::2])
    parts[1::2] = (f"(?P<{name}>{_VALUES[name]})" for name in parts[1::2])
    return re.compile("".join(parts), re.DOTALL)


_FIXED = {pattern: shown for pattern, shown in table() if not _PLACEHOLDER.search(pattern)}
_WITH_VALUES = [(_compiled(pattern), shown) for pattern, shown in table() if _PLACEHOLDER.search(pattern)]


def _value(name: str, text: str, reader: Reader) -> str:
    language = reader.language
    match name:
        case "time":
            return language.moment(datetime.fromisoformat(text), reader.zone)
        case "day":
            return language.calendar_day(date.fromisoformat(text))
        case "amount" | "limit":
            return language.money(_money(text))
        case "book":
            return language.gettext(_BOOKS[text])
        case "failure":
            return retold(text, reader) or language.gettext(text)
        case "stage":
            return language.gettext(text)
    return text


def _money(text: str) -> Money:
    """Of `Money.format`."""
    units, _, currency = text.partition(" ")
    currency = currency.lower()
    return Money(amount_minor=int(Decimal(units).scaleb(exponent(currency))), currency=currency)
