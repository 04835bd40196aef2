"""What a booking refers to, if it is newer than the backup: made again from the booking's terms and from Stripe."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

from activities.database.transactions import transaction
from activities.gateways import ContactAtStripe, RestoreGateway
from models.domain.actors import SignUpRole
from models.domain.messages import RecordCheckout
from models.domain.terms import BookingTerms
from models.tables.catalogue import Offering, Slot
from models.tables.credentials import Credential
from models.tables.people import Instructor, Student

_UNKNOWN_TITLE = "Session"


class PartyRestore:
    def __init__(self, engine: AsyncEngine, gateway: RestoreGateway) -> None:
        self._engine = engine
        self._gateway = gateway

    async def restore(self, terms: BookingTerms, checkout: RecordCheckout | None, at: datetime) -> None:
        """`checkout` is what the booking has recorded of its Checkout; without it, its student stays unknown."""
        async with transaction(self._engine) as session:
            student = await session.get(Student, terms.student_id)
            instructor = await session.get(Instructor, terms.instructor_id)
            offering = await session.get(Offering, terms.offering_id)
        rows: list[SQLModel] = []
        if student is None and checkout is not None:
            rows += [row async for row in self._student(terms, checkout, at)]
        if instructor is None:
            rows += [row async for row in self._instructor(terms.instructor_id, terms.stripe_account_id, at)]
        if offering is None:
            rows.append(await self._offering(terms, checkout, at))
        rows.append(slot(terms))
        await self._insert(rows)

    async def restore_instructor(self, instructor_id: UUID, account_id: str, at: datetime) -> None:
        async with transaction(self._engine) as session:
            if await session.get(Instructor, instructor_id):
                return
        await self._insert([row async for row in self._instructor(instructor_id, account_id, at)])

    async def _insert(self, rows: Sequence[SQLModel]) -> None:
        async with transaction(self._engine) as session:
            for row in rows:
                await session.exec(insert(type(row)).values(row.model_dump()).on_conflict_do_nothing())

    async def _student(
        self, terms: BookingTerms, checkout: RecordCheckout, at: datetime
    ) -> AsyncIterator[Student | Credential]:
        customer_id, id = checkout.checkout.customer_id, terms.student_id
        if contact := await self._gateway.student(customer_id):
            yield Student(id=id, email=contact.email, name=contact.name, stripe_customer_id=customer_id, created_at=at)
            yield _credential(id, SignUpRole.STUDENT, contact, at)

    async def _instructor(self, id: UUID, account_id: str, at: datetime) -> AsyncIterator[Instructor | Credential]:
        if contact := await self._gateway.instructor(account_id):
            yield Instructor(id=id, email=contact.email, name=contact.name, stripe_account_id=account_id, created_at=at)
            yield _credential(id, SignUpRole.INSTRUCTOR, contact, at)

    async def _offering(self, terms: BookingTerms, checkout: RecordCheckout | None, at: datetime) -> Offering:
        title = checkout and await self._gateway.offering_title(checkout.checkout.checkout_session_id)
        return Offering(
            id=terms.offering_id,
            instructor_id=terms.instructor_id,
            title=title or _UNKNOWN_TITLE,
            duration_minutes=ceil((terms.ends_at - terms.starts_at) / timedelta(minutes=1)),
            buffer_before_minutes=terms.buffer_before_minutes,
            buffer_after_minutes=terms.buffer_after_minutes,
            price_minor=terms.price.amount_minor,
            currency=terms.price.currency,
            cancellation=terms.policy.cancellation.model_dump(mode="json"),
            is_recorded=terms.is_recorded,
            created_at=at,
        )


def slot(terms: BookingTerms) -> Slot:
    return Slot(
        id=terms.slot_id,
        offering_id=terms.offering_id,
        instructor_id=terms.instructor_id,
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
    )


def _credential(person_id: UUID, role: SignUpRole, contact: ContactAtStripe, at: datetime) -> Credential:
    """Without a password that fits: its owner has a new one set by mail."""
    return Credential(
        email=contact.email.lower(), person_id=person_id, role=role, password_hash="", created_at=at, updated_at=at
    )
