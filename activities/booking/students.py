"""Whom a Checkout is for. Read inside an activity and used there: none of it may enter a workflow's history."""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.database.transactions import transaction
from models.tables.people import Student


class StudentMissing(LookupError):
    """There is no such student."""


@dataclass(frozen=True)
class StudentContact:
    """`customer_id` is Stripe's, once there is one. Name and address stay out of logs."""

    customer_id: str | None
    email: str = field(repr=False)
    name: str = field(repr=False)


async def contact_of(engine: AsyncEngine, student_id: UUID) -> StudentContact:
    """Raises `StudentMissing`."""
    async with transaction(engine) as session:
        student = await session.get(Student, student_id)
    if student is None:
        raise StudentMissing(f"no student {student_id}")
    return StudentContact(student.stripe_customer_id, student.email, student.name)
