"""What a student reads on Checkout: names, the time in their zone, and the terms, in their language."""

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking.checkout_text import load_text
from models.domain.policy import PaymentPlan, split
from models.domain.terms import BookingTerms
from models.tables.people import Student
from tests.activities.bookings import Bookings


async def _student(bookings: Bookings, terms: BookingTerms, **fields: str) -> None:
    async with AsyncSession(bookings.engine) as session, session.begin():
        (await session.get_one(Student, terms.student_id)).sqlmodel_update(fields)


async def test_checkout_names_offering_instructor_time_and_terms(bookings: Bookings) -> None:
    terms = await bookings.terms()
    await _student(bookings, terms, time_zone="America/New_York")
    text = await load_text(bookings.engine, terms, split(terms.price, terms.policy))
    assert text.product == "Counterpoint"
    assert text.description == "With Nadia, Thu, 5 Mar 2026, 04:00–05:00 (America/New_York)"
    assert text.disclosure == (
        "The price includes a platform fee of US$20.00. A hold is placed now. You are charged only after the "
        "session. If you cancel after the confirmation, you pay: nothing until 24 hours before the start, 50% "
        "until 2 hours before the start; the full price after that. If you do not attend, you pay US$100.00."
    )
    assert "Nadia" not in repr(text)


async def test_checkout_says_that_a_charge_is_made_now(bookings: Bookings) -> None:
    terms = (await bookings.terms()).model_copy(update={"plan": PaymentPlan.CHARGE_THEN_TRANSFER})
    text = await load_text(bookings.engine, terms, split(terms.price, terms.policy))
    assert "You are charged now. The instructor is paid only after the session." in text.disclosure
    assert "hold" not in text.disclosure


async def test_checkout_is_in_the_students_language(bookings: Bookings) -> None:
    terms = await bookings.terms()
    await _student(bookings, terms, language="de", time_zone="Europe/Berlin")
    text = await load_text(bookings.engine, terms, split(terms.price, terms.policy))
    assert text.description == "Mit Nadia, Do., 5. März 2026, 10:00–11:00 (Europe/Berlin)"
    assert text.disclosure.endswith("Wenn Sie nicht teilnehmen, zahlen Sie 100,00 $.")
