"""The student whom a Checkout is for. Read and used inside an activity: none of it may enter a workflow history."""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.database.transactions import transaction
from models.tables.people import Student


class StudentMissing(LookupError):
    """There is no such student."""


@dataclass(frozen=True)
class StudentContact:
    """`customer_id` is Stripe's; `None` until the customer is recorded. `repr` leaves out name and email address."""

    customer_id: str | None
    email: str = field(repr=False)
    name: str = field(repr=False)


async def load_contact(engine: AsyncEngine, student_id: UUID) -> StudentContact:
    """Raises `StudentMissing`."""
    async with transaction(engine) as session:
        student = await session.get(Student, student_id)
    if student is None:
        raise StudentMissing(f"no student {student_id}")
    return StudentContact(student.stripe_customer_id, student.email, student.name)
