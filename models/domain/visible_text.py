"""Which characters a name or a title may have: other people read it in lists, mails, receipts and calendars."""

import re
import unicodedata

_CONTROLS = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories: controls, format characters (among them all that change the direction of the text around them),
private use, surrogates, and the separators of lines and paragraphs."""
_JOINERS = frozenset("\u200c\u200d") | frozenset(map(chr, range(0xE0020, 0xE0080)))
"""The format characters that words and emoji are written with: the two joiners, and the tags of flags."""
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that are drawn as nothing: the Hangul fillers and the Braille blank."""
_VISIBLE = ("L", "N", "P", "S")

# What mail clients turn into a link: a scheme, "www.", or a domain. A domain ends in one of the labels that are used
# most, or in two letters, like a country's. The label before that has at least two, so that "B.Sc" stays a name.
_WEB_ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]*://|\bwww\.|[\w-]{2,}\.(?:com|net|org|info|biz|app|dev|xyz|top|site|online|shop|club|live|link"
    r"|[a-z]{2})(?![\w-])",
    re.IGNORECASE,
)


def visible(text: str) -> str:
    """The text in Unicode's normal form C. Raises `ValueError` if it cannot be seen, or could hide or reorder other
    text."""
    if any(unicodedata.category(character) in _CONTROLS and character not in _JOINERS for character in text):
        raise ValueError("must not have control characters, or any that change the direction of text")
    if not any(unicodedata.category(character)[0] in _VISIBLE and character not in _BLANKS for character in text):
        raise ValueError("must have a character that can be seen")
    return unicodedata.normalize("NFC", text)


def without_web_address(name: str) -> str:
    """The name. Raises `ValueError` for a web or mail address: a mail to somebody else would show it as a link."""
    if _WEB_ADDRESS.search(name):
        raise ValueError("must not contain a web address")
    return name
