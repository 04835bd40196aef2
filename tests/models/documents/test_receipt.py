"""What a receipt shows, in every script and currency, and that it is the same one each time."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.documents import fonts
from models.documents.issuer import Issuer
from models.documents.receipt import Movement, Receipt, Step, draw
from models.domain.money import Money
from tests.models.documents import pdf
from tests.models.strategies import CURRENCIES

AT = datetime(2026, 3, 2, 17, 30, tzinfo=UTC)
ISSUER = Issuer("Tutors & Co", "1 Marketplace Street, Springfield")


def receipt(*steps: tuple[Step, int], currency: str = "usd", **fields: Any) -> Receipt:
    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=currency)

    shown: dict[str, Any] = {
        "booking_id": UUID(int=7),
        "student": "Ada Byron",
        "instructor": "Nadia Boulanger",
        "title": "Counterpoint",
        "starts_at": AT,
        "ends_at": AT + timedelta(hours=1),
        "time_zone": "Europe/Berlin",
        "price": money(10_000),
        "platform_fee": money(2_000),
        "movements": tuple(
            Movement(at=AT + timedelta(days=day), step=step, amount=money(amount_minor))
            for day, (step, amount_minor) in enumerate(steps)
        ),
        "fee_kept": money(2_000),
        "share_kept": money(8_000),
        "on_its_way": money(0),
    }
    return Receipt(**(shown | fields))


def read(shown: Receipt) -> str:
    return pdf.text(draw(shown, ISSUER))


PAID = ((Step.HELD, 10_000), (Step.PAID, 10_000))


def test_it_says_who_paid_whom_for_what_when_and_how_much() -> None:
    text = read(receipt(*PAID))
    for said in (
        *("Tutors & Co", "1 Marketplace Street, Springfield", "R-QEKB-ER58-JBP8"),
        *("Ada Byron", "Nadia Boulanger", "Counterpoint", "Monday, 2 March 2026, 18:30–19:30", str(UUID(int=7))),
        *("Paid in full. Nothing went back.", "3 March 2026, 18:30 Paid by card 100.00 USD"),
        *("The instructor’s share 80.00 USD", "Fee of Tutors & Co 20.00 USD", "Price 100.00 USD"),
    ):
        assert said in text


def test_it_says_what_went_back_and_how_the_rest_is_divided() -> None:
    text = read(
        receipt(
            (Step.HELD, 10_000),
            (Step.PAID, 7_500),
            (Step.RELEASED, 2_500),
            (Step.REFUNDED, 2_500),
            fee_kept=Money(amount_minor=1_000, currency="usd"),
            share_kept=Money(amount_minor=4_000, currency="usd"),
            on_its_way=Money(amount_minor=2_500, currency="usd"),
        )
    )
    flat = " ".join(text.split())
    assert "Of the 100.00 USD that were held, 25.00 USD were never charged. 25.00 USD went back to you." in flat
    assert "25.00 USD of it is still on its way." in flat
    assert "5 March 2026, 18:30 Refunded to your card -25.00 USD" in text
    assert "You paid 50.00 USD" in text
    assert "The instructor’s share 40.00 USD" in text


def test_a_hold_that_was_released_cost_nothing() -> None:
    released = receipt((Step.HELD, 10_000), (Step.RELEASED, 10_000))
    assert "Nothing was charged." in read(released)
    assert not released.paid


@pytest.mark.parametrize(
    ("steps", "paid", "returned"),
    [
        ([Step.WITHDRAWN], 0, 10_000),
        ([Step.WITHDRAWN, Step.REINSTATED], 10_000, 0),
        ([Step.REFUNDED, Step.REFUND_FAILED], 0, 10_000),
    ],
)
def test_what_was_paid_is_what_has_not_come_back(steps: list[Step], paid: int, returned: int) -> None:
    shown = receipt(*PAID, *((step, 10_000) for step in steps))
    assert (shown.paid.amount_minor, shown.returned.amount_minor) == (paid, returned)


@pytest.mark.parametrize(
    ("name", "font"),
    [
        ("Zoë Ångström-Łódź", "FiraGO"),
        ("Trần Thị Hương", "FiraGO"),
        ("Анна Щёлкина", "FiraGO"),
        ("Ελένη Παππά", "FiraGO"),
        ("ليلى بن علي", "FiraGO"),
        ("נעמי לוי", "FiraGO"),
        ("สมชาย ใจดี", "FiraGO"),
        ("ნინო ბერიძე", "FiraGO"),
        ("王小明", "NotoSansCJK"),
        ("田中花子", "NotoSansCJK"),
        ("김민준", "NotoSansCJK"),
    ],
)
def test_a_name_can_be_read_in_its_own_script(name: str, font: str) -> None:
    file = draw(receipt(*PAID, student=name), ISSUER)
    # Where one font takes over from another, the reader sees a space.
    assert name.replace(" ", "") in pdf.text(file).replace(" ", "")
    assert any(embedded.startswith(font) for embedded in pdf.fonts(file))


def test_devanagari_is_shaped() -> None:
    """The vowel of `प्रि` is drawn before its consonants, which have become one: not the glyphs of the characters."""
    text = read(receipt(*PAID, student="प्रिया"))
    assert "प्रि" in text


def test_the_large_font_is_left_out_where_no_name_needs_it() -> None:
    assert not any("CJK" in font for font in pdf.fonts(draw(receipt(*PAID), ISSUER)))


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("Անի Smith 🎵", "??? Smith ?"),
        ("Eve\r\nTotal 0.00\u202egnp", "Eve Total 0.00 gnp"),
        ("e\u0301", "é"),
    ],
)
def test_what_no_font_has_is_marked_and_nobodys_words_pose_as_ours(words: str, seen: str) -> None:
    assert fonts.shown(words) == seen
    assert seen in read(receipt(*PAID, student=words))


@pytest.mark.parametrize("currency", CURRENCIES)
def test_amounts_are_in_the_bookings_currency(currency: str) -> None:
    price = Money(amount_minor=10_000, currency=currency)
    assert f"Price {price.format()}" in read(receipt(*PAID, currency=currency))


def test_a_long_title_goes_on_in_the_next_line() -> None:
    title = "An introduction to the art of the fugue, with special regard to mirror canons " * 3
    assert " ".join(title.split()) in " ".join(read(receipt(*PAID, title=title)).split())


def test_the_same_booking_gives_the_same_bytes() -> None:
    shown = receipt(*PAID, student="田中花子")
    assert draw(shown, ISSUER) == draw(shown, ISSUER)
    assert draw(shown, ISSUER) != draw(receipt(*PAID, student="田中太郎"), ISSUER)


@given(st.text(max_size=200))
def test_every_character_that_is_shown_has_a_glyph(words: str) -> None:
    drawable = fonts._in_text_font() | fonts._in_cjk_font()
    assert {ord(character) for character in fonts.shown(words)} <= drawable
