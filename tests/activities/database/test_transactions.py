"""What Postgres refuses is told without what it was given."""

import traceback

import pytest
from sqlalchemy import text

from activities.booking.students import StudentMissing, contact_of
from activities.database.transactions import DatabaseError, transaction
from models.tables.people import Student
from tests.activities.bookings import NOW, Bookings

ADDRESS = "ada.lovelace@example.test"


async def test_an_error_names_its_kind_and_constraint_and_no_values(bookings: Bookings) -> None:
    async with transaction(bookings.engine) as session:
        session.add(Student(email=ADDRESS, name="Ada Lovelace", created_at=NOW))
    with pytest.raises(DatabaseError) as caught:
        async with transaction(bookings.engine) as session:
            session.add(Student(email=ADDRESS, name="Ada Lovelace", created_at=NOW))
    assert str(caught.value) == "UniqueViolation 23505 student_email_key"
    told = "".join(traceback.format_exception(caught.value))
    assert ADDRESS not in told
    assert "Lovelace" not in told


async def test_an_error_before_the_database_is_asked_names_no_values_either(bookings: Bookings) -> None:
    with pytest.raises(DatabaseError) as caught:
        async with transaction(bookings.engine) as session:
            session.add(Student(email=ADDRESS, name="Ada", created_at=NOW.replace(tzinfo=None)))
    assert ADDRESS not in "".join(traceback.format_exception(caught.value))


async def test_a_failed_transaction_leaves_nothing(bookings: Bookings) -> None:
    async def fail_halfway() -> None:
        async with transaction(bookings.engine) as session:
            session.add(Student(email=ADDRESS, name="Ada", created_at=NOW))
            await session.flush()
            await (await session.connection()).execute(text("SELECT 1/0"))

    with pytest.raises(DatabaseError, match="DivisionByZero 22012"):
        await fail_halfway()
    assert await bookings.all(Student) == []


async def test_the_contact_of_a_student_is_there_but_shows_itself_to_no_log(bookings: Bookings) -> None:
    async with transaction(bookings.engine) as session:
        student = Student(email=ADDRESS, name="Ada Lovelace", stripe_customer_id="cus_1", created_at=NOW)
        session.add(student)
    contact = await contact_of(bookings.engine, student.id)
    assert (contact.customer_id, contact.email, contact.name) == ("cus_1", ADDRESS, "Ada Lovelace")
    assert repr(contact) == "StudentContact(customer_id='cus_1')"


async def test_an_unknown_student_is_named_by_id(bookings: Bookings) -> None:
    terms = await bookings.terms()
    with pytest.raises(StudentMissing, match=str(terms.booking_id)):
        await contact_of(bookings.engine, terms.booking_id)
