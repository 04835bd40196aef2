"""A marketplace for the demo. Everybody in it came through the public API; operators alone have another door."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession
from stripe import StripeClient
from temporalio.client import Client

from api.http.auth import issue_token
from models.domain.actors import Role, SignUpRole
from models.domain.money import Money
from models.tables.people import Instructor
from sandbox.demo.people import Json, Person
from sandbox.stack.stack import Stack

PRICE = Money(amount_minor=10_000, currency="usd")
_OFFERING: Json = {"title": "Counterpoint", "price": PRICE.model_dump(), "duration_minutes": 1}
"""A minute is the shortest session there is."""

_UNTIL_PAID_OUT = timedelta(days=6)
"""Available after two days, sent at the next midnight, a day on the way, whatever the time of day."""

_PATIENCE_SECONDS = 60

WINNING_EVIDENCE = "winning_evidence"
"""What convinces the bank in Stripe's test mode: https://docs.stripe.com/testing#disputes."""


@dataclass(frozen=True)
class Pair:
    """A student, an instructor, and the slot between them."""

    student: Person
    instructor: Person
    slot_id: UUID
    starts_at: datetime


@dataclass(frozen=True)
class Marketplace:
    stack: Stack
    http: httpx.AsyncClient
    engine: AsyncEngine
    stripe: StripeClient
    temporal: Client
    _people: list[tuple[Person, Person]] = field(default_factory=list)
    """Students, each with the instructor they meet."""
    _meetings: Counter[timedelta] = field(default_factory=Counter)

    _payday: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(2))

    async def open(self, pairs: int) -> None:
        """So many students and instructors sign up, all at once: hashing passwords and onboarding take their time."""
        students = asyncio.gather(*(self.student() for _ in range(pairs)))
        instructors = asyncio.gather(*(self._instructor() for _ in range(pairs)))
        self._people.extend(zip(await students, await instructors, strict=True))

    async def pair(self, starts_in: timedelta) -> Pair:
        """A slot between two people who have none at that time yet: nobody is in two sessions at once."""
        student, instructor = self._people[self._meetings[starts_in] % len(self._people)]
        self._meetings[starts_in] += 1
        found = await student.call("GET", f"/offerings?q=counter&instructor_id={instructor.id}")
        slots = f"/offerings/{found['data'][0]['id']}/slots"
        starts_at = datetime.now(UTC) + starts_in
        time = starts_at.isoformat().replace("+00:00", "Z")
        await instructor.call("POST", slots, 201, {"starts_at": time})
        free = await student.call("GET", f"{slots}?starts_after={time}")
        return Pair(student, instructor, UUID(free["data"][0]["id"]), starts_at)

    async def dispute(self, booking_id: str) -> str:
        """The student asks their bank for the money back. A card of Stripe's test mode would do so at once."""
        found = await self.stripe.v1.payment_intents.list_async({"limit": 100})
        async for payment in found.auto_paging_iter():
            if payment.metadata and payment.metadata["booking_id"] == booking_id:
                asked = {"charge": payment.latest_charge, "reason": "product_not_received"}
                return str((await self.order("/disputes", asked))["id"])
        raise LookupError(f"No payment of {booking_id}")

    async def order(self, path: str, order: Json) -> Json:
        """Have the sandbox do what no API of Stripe's does: time passes, a bank acts, a webhook is lost."""
        answer = await self.http.post(f"{self.stack.environment['STRIPE_API_BASE']}/_sandbox{path}", json=order)
        done: Json = answer.raise_for_status().json()
        return done

    async def payday(self) -> None:
        """At Stripe, time passes until what was captured is paid out: once, for all journeys that wait for it."""
        if await self._payday.wait() == 0:
            await self.let_payouts_arrive()
        await self._payday.wait()

    async def let_payouts_arrive(self) -> None:
        await self.order("/clock", {"advance_seconds": _UNTIL_PAID_OUT.total_seconds()})

    async def no_payday(self) -> None:
        """A journey that waits for it has failed: the others need not wait for it."""
        await self._payday.abort()

    async def reconcile(self) -> Json:
        """What an operator's reconciliation compared and found, once it is finished."""
        operator = self.operator()
        ordered = await operator.call("POST", "/operator/reconciliations", 202)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                run = await operator.call("GET", f"/operator/reconciliations/{ordered['id']}")
                if run["finished_at"]:
                    return run
                await asyncio.sleep(0.2)

    async def answer_at_stripe(self, dispute_id: str, evidence: str) -> None:
        """As in Stripe's dashboard."""
        await self.stripe.v1.disputes.update_async(
            dispute_id, {"evidence": {"uncategorized_text": evidence}, "submit": True}
        )

    async def give_bank_account(self, instructor: Person) -> None:
        """As on Stripe's page for it: another one, which takes payouts."""
        async with AsyncSession(self.engine) as session:
            account_id = (await session.get_one(Instructor, instructor.id)).stripe_account_id
        if account_id is None:
            raise LookupError(f"{instructor.id} has no account at Stripe")
        await self.stripe.v1.accounts.external_accounts.create_async(
            account_id, {"external_account": "btok_us_verified", "default_for_currency": True}
        )

    async def student(self) -> Person:
        return await Person.sign_up(self.http, SignUpRole.STUDENT, "Sam Student", "America/New_York")

    def operator(self) -> Person:
        """Nobody signs up as one: operators get their token on the machine itself."""
        return self.person(Role.OPERATOR, uuid4())

    def person(self, role: Role, id: UUID) -> Person:
        token = issue_token(self.stack.token_secret, role, id, timedelta(hours=1))
        return Person(self.http, role, id, token)

    async def _instructor(self) -> Person:
        """With an account at Stripe, and an offering."""
        instructor = await Person.sign_up(self.http, SignUpRole.INSTRUCTOR, "Ines Instructor", "Europe/Berlin")
        await instructor.get_payable()
        await instructor.call("POST", "/offerings", 201, _OFFERING)
        return instructor
