"""The fonts of receipts and statements, and which characters of user-provided text they can print.

FiraGO covers Latin, Greek, Cyrillic, Arabic, Hebrew, Devanagari, Thai and Georgian in two weights. Noto Sans CJK covers
Chinese, Japanese and Korean in one; it is large, so it is loaded only for a text that needs it. HarfBuzz shapes the
text: Arabic letters join, Devanagari vowels move, and right-to-left text runs from the right.
"""

import atexit
import re
import unicodedata
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import uharfbuzz
from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.fonts import TTFFont
from noto_cjk_sans_jp_regular import FONT_PATH
from pymupdf_fonts import FiraGO_Bold, FiraGO_Regular

TEXT = "FiraGO"
_CJK = "NotoSansCJK"
# Tables for shaping, which HarfBuzz reads from the file. fpdf never embeds them, but would parse all of them first.
_LAYOUT_TABLES = ("GDEF", "GPOS", "GSUB")
# Letters with their marks, punctuation, currencies and symbols, as Unicode's blocks divide them.
LATIN = frozenset([*range(0x20, 0x250), *range(0x300, 0x370), *range(0x1E00, 0x1F00), *range(0x2000, 0x2300)])
# What European languages with Latin letters need, without marks of their own: one glyph per character.
EUROPEAN = frozenset([*range(0x20, 0x180), *range(0x2010, 0x2040), *range(0x20A0, 0x20D0)])
_PARTS = {"European": EUROPEAN, "Latin": LATIN}
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def load(pdf: FPDF, text: str) -> None:
    """Add the smallest part of the text font that has the `text`, in both weights. fpdf reads all of a font.

    `text` has every character of the document's values. Its labels are European in all our languages. Shaping takes
    half the time of a document, and would only kern a European text.
    """
    characters = frozenset(map(ord, text))
    part = next((name for name, has in _PARTS.items() if characters <= has), "all")
    _add(pdf, TEXT, "", _directory() / f"Regular-{part}.ttf")
    _add(pdf, TEXT, "B", _directory() / f"Bold-{part}.ttf")
    pdf.set_text_shaping(part != "European")


def load_for(pdf: FPDF, text: str) -> None:
    """Add the CJK font, too, if `text` needs it."""
    if not all(ord(character) in _in_text_font() for character in text) and not _has_cjk(pdf):
        _add(pdf, _CJK, "", FONT_PATH)
        pdf.set_fallback_fonts([_CJK], exact_match=False)


def printable(text: str) -> str:
    """`text` on one line, without direction overrides, and with `?` for characters that no font has.

    fpdf would drop a character without a glyph and log it, although it may be part of a name.
    """
    line = unicodedata.normalize("NFC", _UNPRINTABLE.sub(" ", text)).strip()
    if all(ord(character) in _in_text_font() for character in line):
        return line
    drawable = _in_text_font() | _in_cjk_font()
    return "".join(character if ord(character) in drawable else _replacement(character) for character in line)


def _add(pdf: FPDF, family: str, style: Literal["", "B"], file: Path) -> None:
    pdf.add_font(family, style, file)
    font = pdf.fonts[family.lower() + style]
    assert isinstance(font, TTFFont)
    for tag in _LAYOUT_TABLES:
        if tag in font.ttfont:
            del font.ttfont[tag]


def _replacement(character: str) -> str:
    """Nothing for marks and joiners: the character that they belong to has been replaced already."""
    return "" if unicodedata.category(character) in ("Mn", "Me", "Mc", "Cf") else "?"


def _has_cjk(pdf: FPDF) -> bool:
    return _CJK.lower() in pdf.fonts


@cache
def _in_text_font() -> frozenset[int]:
    return _code_points(BytesIO(FiraGO_Regular.fontbuffer)) & _code_points(BytesIO(FiraGO_Bold.fontbuffer))


@cache
def _in_cjk_font() -> frozenset[int]:
    return _code_points(str(FONT_PATH))


def _code_points(file: BytesIO | str) -> frozenset[int]:
    with TTFont(file, lazy=True) as font:
        return frozenset(font.getBestCmap())


@cache
def _directory() -> Path:
    """FiraGO as files: fpdf reads files, and the package has bytes. Deleted when the process exits."""
    directory = TemporaryDirectory(prefix="holdfast-fonts-")
    atexit.register(directory.cleanup)
    path = Path(directory.name)
    for weight, font in (("Regular", FiraGO_Regular), ("Bold", FiraGO_Bold)):
        (path / f"{weight}-all.ttf").write_bytes(font.fontbuffer)
        for name, characters in _PARTS.items():
            (path / f"{weight}-{name}.ttf").write_bytes(_part(font.fontbuffer, characters))
    return path


def _part(font: bytes, characters: frozenset[int]) -> bytes:
    """Without hints for screens of few pixels; with the glyphs' names, which fpdf would derive from the characters."""
    wanted = uharfbuzz.SubsetInput()
    wanted.unicode_set.update(characters)
    wanted.flags = uharfbuzz.SubsetFlags.NO_HINTING | uharfbuzz.SubsetFlags.GLYPH_NAMES
    return bytes(uharfbuzz.subset(uharfbuzz.Face(font), wanted).blob.data)
