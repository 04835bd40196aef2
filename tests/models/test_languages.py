"""Every catalogue has every text, and locales write amounts and times."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from api.http.problems import Kind
from api.pages import sentences
from api.pages.forms import is_for_people
from models.documents.fonts import EUROPEAN
from models.documents.receipt import Step
from models.domain.declines import ADVICE
from models.domain.ledger import STORY
from models.domain.money import Money
from models.domain.payouts import FAILURES, failure
from models.domain.reconciliation import WAY_OUT
from models.languages import CATALOGUES, LANGUAGES, language
from tests.models.strategies import CURRENCIES

ROOT = Path(__file__).parents[2]
BERLIN = ZoneInfo("Europe/Berlin")
TEMPLATES = ("mail/templates/**", "pages/templates/**")
METHODS = [("**.py", "python"), *((folder, "jinja2.ext.babel_extract") for folder in TEMPLATES)]
KEYWORDS = {"gettext": None, "say": None, "_": None, "ngettext": (1, 2)}
PLACEHOLDER = re.compile(r"%\(\w+\)s|%\(\w+\)d")

MessageId = str | tuple[str, ...]


def _extracted() -> Iterator[MessageId]:
    jinja = {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}
    options = dict.fromkeys(TEMPLATES, jinja)
    for folder in ("activities", "api", "models"):
        for _, _, message, _, _ in extract_from_dir(
            ROOT / folder, METHODS, options_map=options, keywords=KEYWORDS, directory_filter=None
        ):
            yield tuple(message) if isinstance(message, tuple | list) else message
    # Problems, as pages tell people of them.
    yield from (kind.title for kind in Kind)
    yield from (kind.what_to_do for kind in Kind if is_for_people(kind.what_to_do))
    # Sentences of the domain and of the API, as pages tell people of them.
    yield from sentences.texts()
    # Texts in tables of the domain, which knows no languages.
    yield from (step.label for step in Step)
    yield from ADVICE.values()
    yield from STORY.values()
    yield from WAY_OUT.values()
    yield from (sentence for each in [*FAILURES.values(), failure(None)] for sentence in each)


def messages() -> set[MessageId]:
    return set(_extracted())


def _catalogue(code: str) -> dict[MessageId, Message]:
    with (CATALOGUES / f"{code}.po").open("rb") as file:
        catalogue = read_po(file, locale=code, abort_invalid=True)
    return {
        tuple(message.id) if isinstance(message.id, tuple | list) else message.id: message
        for message in catalogue
        if message.id
    }


@pytest.mark.parametrize("code", sorted(set(LANGUAGES) - {"en"}))
def test_catalogue_is_complete_and_has_nothing_else(code: str) -> None:
    catalogue = _catalogue(code)
    assert set(catalogue) == messages()
    for id, message in catalogue.items():
        ids = id if isinstance(id, tuple) else (id,)
        texts = [str(each) for each in message.string] if isinstance(message.string, tuple) else [str(message.string)]
        assert all(texts), id
        assert not message.fuzzy, id
        names = set(PLACEHOLDER.findall(ids[-1]))
        assert all(set(PLACEHOLDER.findall(text)) <= names for text in texts), id
        assert set(PLACEHOLDER.findall(texts[-1])) == names, id


@pytest.mark.parametrize("code", LANGUAGES)
def test_documents_need_no_other_font_for_a_language(code: str) -> None:
    """`fonts.load` decides by the values of a document which font it loads, and not by its labels."""
    texts = [str(message.string) for message in _catalogue(code).values()] if code != "en" else map(str, messages())
    amounts = (language(code).money(Money(amount_minor=-10_000, currency=currency)) for currency in CURRENCIES)
    assert {ord(character) for text in (*texts, *amounts) for character in text} - {ord("\n")} <= EUROPEAN


def test_german_is_there_and_an_unknown_language_is_english() -> None:
    assert {"en", "de"} <= set(LANGUAGES)
    assert language("de").gettext("You were not charged.") == "Ihnen wurde nichts berechnet."
    assert language("de-AT").code == "de"
    assert language("xx").code == language("xx-DE").code == "en"


@pytest.mark.parametrize(
    ("code", "currency", "amount_minor", "expected"),
    [
        ("en", "usd", 123_450, "US$1,234.50"),
        ("de", "usd", 123_450, "1.234,50 $"),
        ("en", "eur", -500, "-€5.00"),
        ("de", "jpy", 15_000, "15.000 ¥"),
        ("en", "kwd", 10_250, "KWD10.250"),
        # CLDR writes it without decimals, but Stripe's minor unit has two.
        ("en", "all", 1_050, "ALL10.50"),
    ],
)
def test_money_is_written_by_locale(code: str, currency: str, amount_minor: int, expected: str) -> None:
    shown = language(code).money(Money(amount_minor=amount_minor, currency=currency))
    assert shown.replace(" ", "") == expected.replace(" ", "")


@given(st.sampled_from(CURRENCIES), st.integers(-(10**12), 10**12), st.sampled_from(sorted(LANGUAGES)))
def test_no_digit_of_an_amount_is_lost(currency: str, amount_minor: int, code: str) -> None:
    shown = language(code).money(Money(amount_minor=amount_minor, currency=currency))
    assert int("".join(each for each in shown if each.isdigit())) == abs(amount_minor)


def test_times_are_written_by_locale() -> None:
    at = datetime(2026, 12, 1, 18, 0, tzinfo=UTC)
    english, german = language("en"), language("de")
    assert english.start(at, BERLIN) == "Tue 1 Dec, 19:00"
    assert german.start(at, BERLIN) == "Di., 1. Dez., 19:00"
    assert english.time(at, BERLIN) == "Tue, 1 Dec 2026, 19:00 (Europe/Berlin)"
    assert german.period(at, at + timedelta(hours=1), BERLIN) == "Di., 1. Dez. 2026, 19:00–20:00 (Europe/Berlin)"
    assert "19:00– Wed, 2 Dec 2026, 02:00" in english.period(at, at + timedelta(hours=7), BERLIN)


def test_an_hour_that_comes_twice_carries_its_offset() -> None:
    at = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert language("en").period(at, at + timedelta(hours=1), BERLIN) == (
        "Sun, 25 Oct 2026, 02:30 UTC+02:00–02:30 UTC+01:00 (Europe/Berlin)"
    )
    assert language("en").start(at + timedelta(hours=2), BERLIN) == "Sun 25 Oct, 03:30"


@given(st.integers(0, 15 * 365 * 24 * 60))
def test_no_two_minutes_read_the_same(minutes: int) -> None:
    at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    english = language("en")
    for zone in (BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")):
        assert english.time(at, zone) != english.time(at + timedelta(hours=1), zone)
        assert english.time(at, zone) != english.time(at + timedelta(minutes=30), zone)
