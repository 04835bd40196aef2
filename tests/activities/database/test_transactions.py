"""Database errors do not reveal the values of their statement."""

import traceback

import pytest
from sqlalchemy import text

from activities.booking.students import StudentMissing, load_contact
from activities.database.transactions import DatabaseError, transaction
from models.tables.people import Student
from tests.activities.bookings import NOW, Bookings

ADDRESS = "ada.lovelace@example.test"


async def test_error_names_its_type_and_constraint_but_no_values(bookings: Bookings) -> None:
    async with transaction(bookings.engine) as session:
        session.add(Student(email=ADDRESS, name="Ada Lovelace", created_at=NOW))
    with pytest.raises(DatabaseError) as caught:
        async with transaction(bookings.engine) as session:
            session.add(Student(email=ADDRESS, name="Ada Lovelace", created_at=NOW))
    assert str(caught.value) == "UniqueViolation 23505 student_email_key"
    trace = "".join(traceback.format_exception(caught.value))
    assert ADDRESS not in trace
    assert "Lovelace" not in trace


async def test_error_raised_before_the_query_is_sent_names_no_values(bookings: Bookings) -> None:
    with pytest.raises(DatabaseError) as caught:
        async with transaction(bookings.engine) as session:
            session.add(Student(email=ADDRESS, name="Ada", created_at=NOW.replace(tzinfo=None)))
    assert ADDRESS not in "".join(traceback.format_exception(caught.value))


async def test_failed_transaction_is_rolled_back(bookings: Bookings) -> None:
    async def fail_halfway() -> None:
        async with transaction(bookings.engine) as session:
            session.add(Student(email=ADDRESS, name="Ada", created_at=NOW))
            await session.flush()
            await (await session.connection()).execute(text("SELECT 1/0"))

    with pytest.raises(DatabaseError, match="DivisionByZero 22012"):
        await fail_halfway()
    assert await bookings.all(Student) == []


async def test_repr_of_a_contact_hides_personal_data(bookings: Bookings) -> None:
    async with transaction(bookings.engine) as session:
        student = Student(email=ADDRESS, name="Ada Lovelace", stripe_customer_id="cus_1", created_at=NOW)
        session.add(student)
    contact = await load_contact(bookings.engine, student.id)
    assert (contact.customer_id, contact.email, contact.name) == ("cus_1", ADDRESS, "Ada Lovelace")
    assert repr(contact) == "StudentContact(customer_id='cus_1')"


async def test_missing_student_is_reported_by_id(bookings: Bookings) -> None:
    terms = await bookings.terms()
    with pytest.raises(StudentMissing, match=str(terms.booking_id)):
        await load_contact(bookings.engine, terms.booking_id)
