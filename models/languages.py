"""What people read, in their language: texts from a catalogue; amounts and times as its locale writes them.

English is the source. Every other language is a file `catalogues/<code>.po`, and nothing else.
"""

from collections.abc import Mapping
from copy import copy
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_skeleton, format_time, format_timedelta, get_month_names
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import NumberPattern, format_percent
from babel.support import NullTranslations, Translations
from babel.units import format_unit
from jinja2 import Environment

from models.domain.money import BASIS_POINTS, Money, exponent

SOURCE = "en"
CATALOGUES = Path(__file__).with_name("catalogues")
_ENGLISH = Locale("en", "GB")
"""Babel's `en` is American, with the month before the day and a clock of twelve hours."""


class Language:
    """One language. The texts that it is given are the English ones."""

    def __init__(self, code: str, locale: Locale, translations: NullTranslations) -> None:
        self.code = code
        self.locale = locale
        self.translations = translations

    def gettext(self, message: str, /, **values: object) -> str:
        """The text, with `values` for its `%(name)s`. A value is never interpreted, whatever it contains."""
        text = self.translations.gettext(message)
        return text % values if values else text

    def ngettext(self, one: str, many: str, count: int, /, **values: object) -> str:
        return self.translations.ngettext(one, many, count) % ({"count": count} | values)

    def install_in(self, environment: Environment) -> None:
        """For templates with `{% trans %}`. The environment needs `jinja2.ext.i18n`."""
        environment.policies["ext.i18n.trimmed"] = True
        installed: Any = environment
        installed.install_gettext_callables(self.translations.gettext, self.translations.ngettext, newstyle=True)

    def money(self, money: Money) -> str:
        """`US$100.00`, with as many decimals as Stripe's minor unit has."""
        return self._amount(money, self.locale.currency_formats["standard"])

    def units(self, money: Money) -> str:
        """`100.00`, for a table that names the currency elsewhere."""
        return self._amount(money, self.locale.decimal_formats[None])

    def percent(self, bps: int) -> str:
        return _plain(format_percent(Decimal(bps) / BASIS_POINTS, locale=self.locale, decimal_quantization=False))

    def days(self, count: int) -> str:
        return format_unit(count, "duration-day", locale=self.locale)

    def hours(self, count: int) -> str:
        return format_unit(count, "duration-hour", locale=self.locale)

    def minutes(self, count: int) -> str:
        return format_unit(count, "duration-minute", locale=self.locale)

    def age(self, time: timedelta) -> str:
        """`3 days`, `5 hours`: in the largest unit that fits."""
        text: str = format_timedelta(time, locale=self.locale, threshold=1)
        return _plain(text)

    def start(self, at: datetime, where: ZoneInfo) -> str:
        """For subjects: `Thu 5 Mar, 10:00`."""
        local = at.astimezone(where)
        return f"{self._skeleton('MMMEd', local)}, {self._clock(local)}"

    def time(self, at: datetime, where: ZoneInfo) -> str:
        """`Thu, 5 Mar 2026, 10:00 (Europe/Berlin)`."""
        return f"{self.moment(at, where)} ({where.key})"

    def moment(self, at: datetime, where: ZoneInfo) -> str:
        """The same for a page that names the zone elsewhere."""
        local = at.astimezone(where)
        return f"{self.day(at, where)}, {self._clock(local)}"

    def period(self, starts_at: datetime, ends_at: datetime, where: ZoneInfo) -> str:
        """`Thu, 5 Mar 2026, 10:00–11:00 (Europe/Berlin)`; with both days if it spans midnight."""
        is_one_day = starts_at.astimezone(where).date() == ends_at.astimezone(where).date()
        end = self._clock(ends_at.astimezone(where)) if is_one_day else f" {self.moment(ends_at, where)}"
        return f"{self.moment(starts_at, where)}–{end} ({where.key})"

    def day(self, at: datetime, where: ZoneInfo) -> str:
        """`Thu, 5 Mar 2026`."""
        return self._skeleton("yMMMEd", at.astimezone(where))

    def calendar_day(self, day: date) -> str:
        """The same of a calendar day."""
        return self._skeleton("yMMMEd", day)

    def clock(self, at: datetime, where: ZoneInfo) -> str:
        """`10:00`."""
        return self._clock(at.astimezone(where))

    def month(self, number: int) -> str:
        """`March`."""
        name: str = get_month_names("wide", "stand-alone", self.locale)[number]
        return name

    def _amount(self, money: Money, pattern: NumberPattern) -> str:
        decimals = exponent(money.currency)
        pattern = copy(pattern)
        pattern.frac_prec = (decimals, decimals)
        amount = Decimal(money.amount_minor).scaleb(-decimals)
        return _plain(pattern.apply(amount, self.locale, currency=money.currency.upper(), currency_digits=False))

    def _skeleton(self, skeleton: str, local: date) -> str:
        return _plain(format_skeleton(skeleton, local, locale=self.locale))

    def _clock(self, local: datetime) -> str:
        """With the UTC offset in an hour that comes twice, when the clock is set back."""
        clock = _plain(format_time(local, "short", locale=self.locale))
        if local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset():
            return clock
        return f"{clock} UTC{_offset(local)}"


def find(tag: str) -> Language | None:
    """The language of a BCP 47 tag (`de-AT`: German), or `None` if there is no catalogue for it."""
    return LANGUAGES.get(tag) or LANGUAGES.get(tag.partition("-")[0].lower())


def language(tag: str) -> Language:
    """The same, or English."""
    return find(tag) or LANGUAGES[SOURCE]


def _offset(local: datetime) -> str:
    """`+02:00`."""
    digits = f"{local:%z}"
    return f"{digits[:3]}:{digits[3:5]}"


def _plain(text: str) -> str:
    """Locales use several kinds of space that not every font and mail program shows."""
    return text.replace("\u202f", " ").replace("\xa0", " ")


def _read(path: Path) -> Language:
    """Compiled in memory, so that no generated file can be out of step with the catalogue."""
    with path.open("rb") as file:
        catalogue = read_po(file, locale=path.stem, abort_invalid=True)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Language(path.stem, Locale.parse(path.stem), Translations(compiled))


LANGUAGES: Mapping[str, Language] = {SOURCE: Language(SOURCE, _ENGLISH, NullTranslations())} | {
    path.stem: _read(path) for path in sorted(CATALOGUES.glob("*.po"))
}
"""By code. Read when the program starts."""
