"""The student whom a Checkout is for, and their customer at Stripe.

Read and used inside an activity: no name or address may enter a workflow history.
"""

import logging
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, or_, update

from activities.database.transactions import transaction
from activities.gateways import PaymentGateway
from activities.idempotency import with_idempotency_key
from models.domain.ids import customer_key
from models.tables.people import Student

log = logging.getLogger("holdfast.students")


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


class StudentCustomers:
    """Students' customers at Stripe. `retrying` says that an earlier attempt's outcome is unknown."""

    def __init__(self, engine: AsyncEngine, gateway: PaymentGateway) -> None:
        self._engine = engine
        self._gateway = gateway

    async def ensure(self, student_id: UUID, *, retrying: bool) -> str:
        """The id of the student's customer, created if none is recorded. It may have been deleted at Stripe since."""
        contact = await load_contact(self._engine, student_id)
        return contact.customer_id or await self._create(student_id, contact, None, retrying)

    async def replace(self, student_id: UUID, deleted_id: str, *, retrying: bool) -> str:
        """The id of another customer, recorded in place of the one that was deleted at Stripe."""
        contact = await load_contact(self._engine, student_id)
        if contact.customer_id not in (None, deleted_id):
            return contact.customer_id  # Another booking has replaced it already.
        customer_id = await self._create(student_id, contact, deleted_id, retrying)
        log.warning("the customer of student %s was deleted at Stripe and is replaced", student_id)
        is_unchanged = or_(col(Student.stripe_customer_id).is_(None), col(Student.stripe_customer_id) == deleted_id)
        statement = update(Student).where(col(Student.id) == student_id, is_unchanged)
        async with transaction(self._engine) as session:
            await session.exec(statement.values(stripe_customer_id=customer_id))
        return customer_id

    async def _create(self, student_id: UUID, contact: StudentContact, deleted_id: str | None, retrying: bool) -> str:
        if retrying:
            found = await self._gateway.find_customer(student_id, contact.email)
            if found not in (None, deleted_id):
                return found
        return await with_idempotency_key(
            customer_key(student_id, deleted_id),
            retrying,
            lambda key: self._gateway.create_customer(student_id, contact.email, contact.name, key=key),
        )
