"""What a receipt shows, in every script and currency, and that drawing it is deterministic."""

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
from models.languages import language
from tests.models.documents import pdf
from tests.models.strategies import CURRENCIES

AT = datetime(2026, 3, 2, 17, 30, tzinfo=UTC)
ISSUER = Issuer("Tutors & Co", "1 Marketplace Street, Springfield")


def receipt(*steps: tuple[Step, int], currency: str = "usd", **fields: Any) -> Receipt:
    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=currency)

    defaults: dict[str, Any] = {
        "booking_id": UUID(int=7),
        "student": "Ada Byron",
        "instructor": "Nadia Boulanger",
        "title": "Counterpoint",
        "starts_at": AT,
        "ends_at": AT + timedelta(hours=1),
        "time_zone": "Europe/Berlin",
        "price": money(10_000),
        "platform_fee": money(2_000),
        "fee_tax": money(0),
        "fee_tax_bps": 0,
        "movements": tuple(
            Movement(at=AT + timedelta(days=day), step=step, amount=money(amount_minor))
            for day, (step, amount_minor) in enumerate(steps)
        ),
        "fee_kept": money(2_000),
        "fee_tax_kept": money(0),
        "share_kept": money(8_000),
        "on_its_way": money(0),
    }
    return Receipt(**(defaults | fields))


def read(of: Receipt) -> str:
    return pdf.text(draw(of, ISSUER))


PAID = ((Step.HELD, 10_000), (Step.PAID, 10_000))


def test_receipt_shows_the_parties_the_session_and_the_amounts() -> None:
    text = read(receipt(*PAID))
    for expected in (
        *("Tutors & Co", "1 Marketplace Street, Springfield", "R-QEKB-ER58-JBP8"),
        *(
            "Ada Byron",
            "Nadia Boulanger",
            "Counterpoint",
            "Mon, 2 Mar 2026, 18:30–19:30 (Europe/Berlin)",
            str(UUID(int=7)),
        ),
        *("Paid in full.", "Tue, 3 Mar 2026, 18:30 Charged US$100.00"),
        *("Instructor’s share US$80.00", "Platform fee of Tutors & Co US$20.00", "Price US$100.00"),
    ):
        assert expected in text


def test_partial_refund_shows_the_returned_amount_and_the_remaining_split() -> None:
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
    assert "US$25.00 of the hold of US$100.00 was released. US$25.00 was returned to you." in flat
    assert "US$25.00 of it is still on its way." in flat
    assert "Thu, 5 Mar 2026, 18:30 Refunded -US$25.00" in text
    assert "You paid US$50.00" in text
    assert "Instructor’s share US$40.00" in text


def test_receipt_is_in_the_students_language() -> None:
    text = read(receipt(*PAID, language="de"))
    for expected in ("Beleg", "Vollständig bezahlt.", "Berechnet 100,00 $", "Zeiten in Europe/Berlin.", "Seite 1"):
        assert expected in text


def test_released_hold_shows_that_nothing_was_charged() -> None:
    released = receipt((Step.HELD, 10_000), (Step.RELEASED, 10_000))
    assert "You were not charged." in read(released)
    assert not released.paid


@pytest.mark.parametrize(
    ("steps", "paid", "returned"),
    [
        ([Step.WITHDRAWN], 0, 10_000),
        ([Step.WITHDRAWN, Step.REINSTATED], 10_000, 0),
        ([Step.REFUNDED, Step.REFUND_FAILED], 0, 10_000),
    ],
    ids=["disputed", "dispute won", "refund failed"],
)
def test_paid_and_returned_amounts(steps: list[Step], paid: int, returned: int) -> None:
    drawn = receipt(*PAID, *((step, 10_000) for step in steps))
    assert (drawn.paid.amount_minor, drawn.returned.amount_minor) == (paid, returned)


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
def test_name_is_readable_in_its_script(name: str, font: str) -> None:
    file = draw(receipt(*PAID, student=name), ISSUER)
    # pypdf inserts a space wherever the font changes.
    assert name.replace(" ", "") in pdf.text(file).replace(" ", "")
    assert any(embedded.startswith(font) for embedded in pdf.fonts(file))


def test_devanagari_is_shaped() -> None:
    """In `प्रि`, the vowel precedes the consonants, which form a ligature: not one glyph per character."""
    text = read(receipt(*PAID, student="प्रिया"))
    assert "प्रि" in text


def test_cjk_font_is_embedded_only_if_needed() -> None:
    assert not any("CJK" in font for font in pdf.fonts(draw(receipt(*PAID), ISSUER)))


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("Անի Smith 🎵", "??? Smith ?"),
        ("Eve\r\nTotal 0.00\u202egnp", "Eve Total 0.00 gnp"),
        ("e\u0301", "é"),
    ],
    ids=["no glyph", "control characters", "combining mark"],
)
def test_unprintable_characters_are_replaced(name: str, printed: str) -> None:
    assert fonts.printable(name) == printed
    assert printed in read(receipt(*PAID, student=name))


@pytest.mark.parametrize("currency", CURRENCIES)
def test_amounts_use_the_bookings_currency(currency: str) -> None:
    price = Money(amount_minor=10_000, currency=currency)
    assert f"Price {language('en').money(price)}" in read(receipt(*PAID, currency=currency))


def test_long_title_wraps() -> None:
    title = "An introduction to the art of the fugue, with special regard to mirror canons " * 3
    assert " ".join(title.split()) in " ".join(read(receipt(*PAID, title=title)).split())


def test_same_receipt_gives_the_same_bytes() -> None:
    drawn = receipt(*PAID, student="田中花子")
    assert draw(drawn, ISSUER) == draw(drawn, ISSUER)
    assert draw(drawn, ISSUER) != draw(receipt(*PAID, student="田中太郎"), ISSUER)


@given(st.text(max_size=200))
def test_every_printable_character_has_a_glyph(text: str) -> None:
    drawable = fonts._in_text_font() | fonts._in_cjk_font()
    assert {ord(character) for character in fonts.printable(text)} <= drawable
