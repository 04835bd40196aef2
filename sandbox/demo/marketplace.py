"""The demo's marketplace. Its people are created through the public API, except operators, who cannot sign up."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from stripe import PaymentIntent, StripeClient, Transfer
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client

from api.http.auth import issue_token
from api.people import operators
from models.domain.actors import Role, SignUpRole
from models.domain.money import Money
from models.domain.stripe_events import BOOKING_METADATA
from models.tables.operators import Operator
from models.tables.people import Instructor
from models.tables.stripe_events import StripeEventRecord
from sandbox import seed
from sandbox.demo.people import Json, Person, Unexpected
from sandbox.stack.stack import Stack

PRICE = Money(amount_minor=10_000, currency="usd")
SESSION_LENGTH = timedelta(seconds=3)
"""Less than an offering can have: the demo would wait for a minute."""
OFFERING: Json = {
    "title": "Counterpoint",
    "price": PRICE.model_dump(),
    "duration_minutes": 1,
    "min_notice_minutes": 0,
}

_TIME_TO_PAYOUT = timedelta(days=6)
"""More than it takes at any time of day: funds are sent at the second midnight, and arrive two days later."""

_SIGN_UPS_AT_ONCE = 8
"""The API hashes a few passwords at a time, and refuses sign-ups when too many wait."""
_OPENINGS_AT_ONCE = 6
"""Enough to keep two cores busy. Each of them is then quick on a slow machine as well."""

_RECONCILIATION_TIMEOUT_SECONDS = 60

WINNING_EVIDENCE = "winning_evidence"
"""The evidence that wins a dispute in Stripe's test mode: https://docs.stripe.com/testing#disputes."""


@dataclass(frozen=True)
class Pair:
    """A student, an instructor and a slot that both are free for."""

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
    soon: timedelta = timedelta(seconds=8)
    """Long enough to pay for and approve a booking while other journeys do the same."""
    people: list[tuple[Person, Person]] = field(default_factory=list)
    """Students, each with their instructor."""
    _operator_id: UUID = field(default_factory=uuid4)
    _sessions: defaultdict[UUID, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    """When the sessions of each instructor start."""
    _openings: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_OPENINGS_AT_ONCE))
    outage: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by a journey while it takes the worker away. Nobody is onboarded then."""
    reconciling: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by a journey while its reconciliation has something to find. Another one would join that run, or compare the
    difference again for seconds."""
    _payout_barrier: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(3))
    """Of the two journeys that need a payout, and all others together."""

    async def open(self, pairs: int) -> None:
        """Begin with an operator, and `pairs` students and instructors."""
        async with AsyncSession(self.engine) as session, session.begin():
            # An operator's name is never used again, and tests open several marketplaces on one stack.
            olu = Operator(id=self._operator_id, name=f"Olu {self._operator_id}", created_at=datetime.now(UTC))
            await operators.add(session, olu)
        await self.sign_up(pairs)

    async def sign_up(self, pairs: int) -> None:
        """Sign up `pairs` students and instructors, concurrently since hashing and onboarding are slow."""
        turns = asyncio.Semaphore(_SIGN_UPS_AT_ONCE)

        async def pair() -> tuple[Person, Person]:
            async with turns:
                return await self.student(), await self._instructor()

        self.people.extend(await asyncio.gather(*(pair() for _ in range(pairs))))

    async def reset_to_start(self, workflow_id: str) -> None:
        """Reset a closed workflow to its first task, and wait until it has ended again."""
        closed = self.temporal.get_workflow_handle(workflow_id)
        await closed.result()
        tasks = (
            event.event_id
            for event in (await closed.fetch_history()).events
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        )
        await self.temporal.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self.temporal.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id),
                reason="demo",
                workflow_task_finish_event_id=next(tasks),
                request_id=str(uuid4()),
            )
        )
        await self.temporal.get_workflow_handle(workflow_id).result()

    @asynccontextmanager
    async def opening(self, starts_in: timedelta) -> AsyncIterator[Pair]:
        """A pair that books and decides in the block. Others wait: a booking expires when its session starts."""
        async with self._openings:
            yield await self.pair(starts_in)

    async def pair(self, starts_in: timedelta) -> Pair:
        """Create a slot for two people who have no other session at that time, or are the first to have none."""
        earliest = datetime.now(UTC) + starts_in
        student, instructor = min(
            self.people, key=lambda pair: (self._free_from(pair[1], earliest), len(self._sessions[pair[1].id]))
        )
        return Pair(student, instructor, *await self.add_free_slot(instructor, starts_in))

    async def add_free_slot(self, instructor: Person, starts_in: timedelta) -> tuple[UUID, datetime]:
        """Create a slot that begins then, or as soon after that as they have no other session."""
        starts_at = self._free_from(instructor, datetime.now(UTC) + starts_in)
        self._sessions[instructor.id].append(starts_at)
        return await self._add_slot(instructor, starts_at, SESSION_LENGTH), starts_at

    async def add_slot(
        self, instructor: Person, starts_in: timedelta, lasts: timedelta = SESSION_LENGTH
    ) -> tuple[UUID, datetime]:
        """Create a slot, whatever else is at that time."""
        starts_at = datetime.now(UTC) + starts_in
        return await self._add_slot(instructor, starts_at, lasts), starts_at

    def _free_from(self, instructor: Person, time: datetime) -> datetime:
        for starts_at in sorted(self._sessions[instructor.id]):
            if abs(starts_at - time) < SESSION_LENGTH:
                time = starts_at + SESSION_LENGTH
        return time

    async def _add_slot(self, instructor: Person, starts_at: datetime, lasts: timedelta) -> UUID:
        """Not through the API, where slots begin at whole minutes: the demo would wait for them."""
        offerings = await instructor.call("GET", f"/offerings?q=counter&instructor_id={instructor.id}")
        return await seed.add_slot(self.engine, UUID(offerings["data"][0]["id"]), starts_at, starts_at + lasts)

    async def dispute(self, booking_id: str) -> str:
        """Open a dispute of the booking's charge. A test card that is always disputed would do so right away."""
        charge = (await self.payment_intent(booking_id)).latest_charge
        params = {"charge": charge, "reason": "product_not_received"}
        return str((await self.control_stripe("/disputes", params))["id"])

    async def payment_intent(self, booking_id: str) -> PaymentIntent:
        payments = await self.stripe.v1.payment_intents.list_async({"limit": 100})
        async for payment in payments.auto_paging_iter():
            if payment.metadata and payment.metadata[BOOKING_METADATA] == booking_id:
                return payment
        raise LookupError(f"No payment of {booking_id}")

    async def transfers(self, booking_id: str) -> list[Transfer]:
        """What was transferred to the instructor of a charge of the platform's."""
        return (await self.stripe.v1.transfers.list_async({"transfer_group": booking_id})).data

    async def return_fee(self, booking_id: str, amount_minor: int) -> None:
        """Return a part of the application fee, as anyone can in Stripe's dashboard."""
        payment = await self.payment_intent(booking_id)
        charge = await self.stripe.v1.charges.retrieve_async(str(payment.latest_charge))
        await self.stripe.v1.application_fees.refunds.create_async(
            str(charge.application_fee), {"amount": amount_minor}
        )

    async def adjust(self, booking_id: str) -> None:
        """Have the next reconciliation find what differs, and settle it as an operator."""
        run = await self.reconcile()
        found = await self.operator().call("GET", "/operator/drifts?open=true")
        drift = next((each for each in found["data"] if each["booking_id"] == booking_id), None)
        if drift is None:
            raise Unexpected(f"the reconciliation found no drift: {run}")
        body = {"drift_id": drift["id"], "reason": "Half of the fee was returned, as agreed by phone."}
        await self.operator().call("POST", f"/operator/bookings/{booking_id}/adjust", json=body)

    async def control_stripe(self, path: str, params: Json) -> Json:
        """Call the sandbox's control API, for what Stripe's API cannot do: advance time, act as a bank, lose events."""
        response = await self.http.post(f"{self.stack.stripe_url}/_sandbox{path}", json=params)
        body: Json = response.raise_for_status().json()
        return body

    async def wait_for_payouts(self) -> None:
        """Wait for all journeys, then advance Stripe's clock once, until captures are paid out."""
        if await self._payout_barrier.wait() == 0:
            await self.advance_to_payout()
        await self._payout_barrier.wait()

    async def advance_to_payout(self) -> None:
        await self.control_stripe("/clock", {"advance_seconds": _TIME_TO_PAYOUT.total_seconds()})

    async def abort_payouts(self) -> None:
        """Stop the others waiting, because a journey failed before it got to `wait_for_payouts`."""
        await self._payout_barrier.abort()

    async def reconcile(self) -> Json:
        """Start a reconciliation as an operator, and return it once it is finished."""
        operator = self.operator()
        started = await operator.call("POST", "/operator/reconciliations", 202)
        async with asyncio.timeout(_RECONCILIATION_TIMEOUT_SECONDS):
            while True:
                run = await operator.call("GET", f"/operator/reconciliations/{started['id']}")
                if run["finished_at"]:
                    return run
                await asyncio.sleep(0.2)

    async def received_events(self, booking_id: str) -> int:
        """How many of Stripe's events about the booking have arrived, by webhook or by reconciliation."""
        arrived = select(func.count()).where(col(StripeEventRecord.booking_id) == UUID(booking_id))
        async with AsyncSession(self.engine) as session:
            return (await session.exec(arrived)).one()

    async def submit_evidence(self, dispute_id: str, evidence: str) -> None:
        """Respond to a dispute at Stripe, as an operator would in the dashboard."""
        await self.stripe.v1.disputes.update_async(
            dispute_id, {"evidence": {"uncategorized_text": evidence}, "submit": True}
        )

    async def add_bank_account(self, instructor: Person) -> None:
        """Add a new default bank account, as the instructor would on Stripe's page."""
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
        """The operator. Operators cannot sign up: a command on the machine itself adds them."""
        return self.person(Role.OPERATOR, self._operator_id)

    def person(self, role: Role, id: UUID) -> Person:
        token = issue_token(self.stack.token_secret, role, id, timedelta(hours=1))
        return Person(self.http, role, id, token)

    async def _instructor(self) -> Person:
        """A new instructor who is onboarded at Stripe and has an offering."""
        instructor = await Person.sign_up(self.http, SignUpRole.INSTRUCTOR, "Ines Instructor", "Europe/Berlin")
        async with self.outage:
            pass  # An account needs a worker only from here on.
        await instructor.complete_onboarding()
        await instructor.call("POST", "/offerings", 201, OFFERING)
        return instructor
