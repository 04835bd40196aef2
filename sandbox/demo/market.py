"""A marketplace for the demo: makes a pair of people, with an offering and a slot, for each journey."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine
from stripe import StripeClient
from temporalio.client import Client

from api.auth import issue_token
from models.money import Money
from models.terms import Role
from sandbox import seed
from sandbox.connected_accounts import create_connected_account
from sandbox.demo.people import Person
from sandbox.stack import Stack

PRICE = Money(amount_minor=10_000, currency="usd")


@dataclass(frozen=True)
class Pair:
    """A student, an instructor of their own, and the slot between them."""

    student: Person
    instructor: Person
    slot_id: UUID
    starts_at: datetime


@dataclass(frozen=True)
class Market:
    stack: Stack
    http: httpx.AsyncClient
    engine: AsyncEngine
    stripe: StripeClient
    temporal: Client

    async def pair(self, starts_in: timedelta, lasts: timedelta) -> Pair:
        """Each pair has its own connected account, so that journeys at the same time do not meet."""
        instructor_id, email = uuid4(), f"{uuid4()}@instructors.example"
        account_id = await create_connected_account(self.stripe, instructor_id, "Ines", "Instructor", email)
        await seed.add_instructor(self.engine, account_id, "Ines Instructor", email, instructor_id=instructor_id)
        offering_id = await seed.add_offering(self.engine, instructor_id, PRICE)
        starts_at = datetime.now(UTC) + starts_in
        slot_id = await seed.add_slot(self.engine, offering_id, starts_at, starts_at + lasts)
        return Pair(await self.student(), self.person(Role.INSTRUCTOR, instructor_id), slot_id, starts_at)

    async def student(self) -> Person:
        student_id = await seed.add_student(self.engine, "Sam Student")
        return self.person(Role.STUDENT, student_id)

    def person(self, role: Role, id: UUID) -> Person:
        token = issue_token(self.stack.token_secret, role, id, timedelta(hours=1))
        return Person(self.http, role, id, token)
