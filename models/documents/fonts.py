"""The fonts of receipts and statements, and what of a person's words they can show.

FiraGO has Latin, Greek, Cyrillic, Arabic, Hebrew, Devanagari, Thai and Georgian in two weights; Noto Sans CJK has
Chinese, Japanese and Korean in one, and is read only where a text needs it: it is large. HarfBuzz shapes what is drawn:
Arabic letters join, Devanagari's vowels move, and what is read from the right runs from there.
"""

import atexit
import re
import unicodedata
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from fontTools.ttLib import TTFont
from fpdf import FPDF
from noto_cjk_sans_jp_regular import FONT_PATH
from pymupdf_fonts import FiraGO_Bold, FiraGO_Regular

TEXT = "FiraGO"
_CJK = "NotoSansCJK"
_NOT_SHOWN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def load(paper: FPDF) -> None:
    """Give `paper` the text's font, in both weights."""
    paper.add_font(TEXT, "", _directory() / "FiraGO-Regular.ttf")
    paper.add_font(TEXT, "B", _directory() / "FiraGO-Bold.ttf")
    paper.set_text_shaping(True)


def load_for(paper: FPDF, text: str) -> None:
    """Give `paper` the large font, too, if `text` needs it."""
    if not all(ord(character) in _in_text_font() for character in text) and not _has_cjk(paper):
        paper.add_font(_CJK, "", str(FONT_PATH))
        paper.set_fallback_fonts([_CJK], exact_match=False)


def shown(words: str) -> str:
    """A person's words on one line, without changes of direction; `?` for what none of the fonts has.

    A character without a glyph would be left out, and fpdf would log it: it may be part of a name.
    """
    text = unicodedata.normalize("NFC", _NOT_SHOWN.sub(" ", words)).strip()
    if all(ord(character) in _in_text_font() for character in text):
        return text
    drawable = _in_text_font() | _in_cjk_font()
    return "".join(character if ord(character) in drawable else _instead_of(character) for character in text)


def _instead_of(character: str) -> str:
    """Marks and joiners go with the character that they belong to."""
    return "" if unicodedata.category(character) in ("Mn", "Me", "Mc", "Cf") else "?"


def _has_cjk(paper: FPDF) -> bool:
    return _CJK.lower() in paper.fonts


@cache
def _in_text_font() -> frozenset[int]:
    return _characters(BytesIO(FiraGO_Regular.fontbuffer)) & _characters(BytesIO(FiraGO_Bold.fontbuffer))


@cache
def _in_cjk_font() -> frozenset[int]:
    return _characters(str(FONT_PATH))


def _characters(file: BytesIO | str) -> frozenset[int]:
    with TTFont(file, lazy=True) as font:
        return frozenset(font.getBestCmap())


@cache
def _directory() -> Path:
    """fpdf reads fonts from files; FiraGO's package has them as bytes. Gone with the process."""
    directory = TemporaryDirectory(prefix="holdfast-fonts-")
    atexit.register(directory.cleanup)
    for name, font in (("FiraGO-Regular.ttf", FiraGO_Regular), ("FiraGO-Bold.ttf", FiraGO_Bold)):
        (Path(directory.name) / name).write_bytes(font.fontbuffer)
    return Path(directory.name)
