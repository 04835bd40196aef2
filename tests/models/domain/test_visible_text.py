import unicodedata

import pytest

from models.domain.visible_text import visible, without_web_address


@pytest.mark.parametrize(
    "text",
    ["Ada", "Łukasz Żółć", "李小龍", "نور", "نام‌خانوادگی", "José", "👩‍🏫", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "C++", "O'Brien-Smith", "7"],
)
def test_text_of_any_script_is_allowed(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("tag", ["\U000e0020", "\U000e007e", "\U000e007f"])
def test_every_tag_of_an_emoji_is_allowed(tag: str) -> None:
    """Unicode, UTS #51, ED-14a: `tag_spec` and `tag_end`."""
    assert visible(f"🏴{tag}") == f"🏴{tag}"


@pytest.mark.parametrize(
    "text", ["", " ", "\u00a0\u3000", "\u200c\u200d", "\u3164", "\u2800", "\u115f\u1160", "\u0301"]
)
def test_text_without_a_visible_character_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="can be seen"):
        visible(text)


@pytest.mark.parametrize(
    "character",
    ["\x00", "\n", "\x7f", "\x85", "\u202e", "\u2066", "\u200f", "\u061c", "\u200b", "\ufeff", "\u2028", "\ue000"],
)
def test_characters_that_hide_or_reorder_text_are_refused(character: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        visible(f"Ada{character}Byron")


def test_text_is_composed() -> None:
    assert visible(unicodedata.normalize("NFD", "José")) == "José"


@pytest.mark.parametrize(
    "name", ["Ada Byron", "J.R.R. Tolkien", "Dr. Smith", "St.John", "Nadia B.Sc.", "M.Sc", "Lee, Jr."]
)
def test_initials_and_titles_are_names(name: str) -> None:
    assert without_web_address(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "https://evil.test/x",
        "Win at WWW.evil",
        "evil.com",
        "Ada (Evil-Site.Xyz)",
        "call me: ada@students.org",
        "bit.ly/win",
        "ftp://x",
    ],
)
def test_a_web_address_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="web address"):
        without_web_address(name)
