"""`./run bench --waiting N`: what N waiting bookings cost, and what it takes to wake one of them.

Bookings are started on Temporal and paid through the sandbox's control API, without the API and the Checkout page,
which would only make the start slower. From the reservation on, they are the real ones.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final, cast
from uuid import UUID, uuid4

from temporalio.client import WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from api.http.temporal import TASK_TIMEOUT
from bench import polling
from bench.concurrency import map_concurrently
from bench.cpu import Meter, Usage
from bench.polling import BookingPoller
from bench.stack import BenchStack
from models.domain.actors import Actor, Role
from models.domain.ids import workflow_id
from models.domain.messages import (
    OPEN_CHECKOUT,
    Approve,
    BookingView,
    Confirm,
    ReserveSlot,
)
from models.domain.payments import Checkout
from models.domain.policy import BookingPolicy, Deadlines, PaymentPlan, checkout_deadline
from models.domain.terms import BookingTerms
from sandbox import seed
from sandbox.demo.marketplace import PRICE, Marketplace
from sandbox.stack.connected_accounts import create_connected_account
from workflows import search_attributes
from workflows.booking.workflow import BookingWorkflow

CACHED: Final = 50
"""The worker's cache setting in this run."""
SETTINGS: Final = {"HOLDFAST_CACHED_WORKFLOWS": str(CACHED)}
WOKEN: Final = 30
"""How many are woken for a figure, one after the other."""
FEWEST: Final = CACHED + WOKEN
"""Otherwise those that wait beyond the cache would be in it."""
_MAX_CONCURRENCY: Final = 8
_TRIES: Final = 5
_SESSION_LENGTH: Final = timedelta(minutes=1)
_SESSION_EVERY: Final = timedelta(minutes=2)
_SESSIONS_START_IN: Final = timedelta(days=30)
_DEADLINES: Final = Deadlines(checkout_window=timedelta(hours=23))


@dataclass
class Waking:
    """What it takes to wake `WOKEN` bookings with a message, one after the other."""

    seconds: list[float] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    @property
    def cpu_seconds(self) -> float:
        """The worker's, for one of them."""
        return self.usage.cpu["worker"] / WOKEN

    def __str__(self) -> str:
        return f"{median(self.seconds) * 1000:.0f} ms ({self.cpu_seconds * 1000:.0f} of CPU)"


@dataclass
class Waiting:
    """The figures while so many bookings wait."""

    bookings: int
    worker_megabytes: float
    """The worker's resident memory, when all of them have been started."""
    in_cache: Waking = field(default_factory=Waking)
    """Those that were started last."""
    beyond_cache: Waking = field(default_factory=Waking)
    """Those that were started first: the worker replays their histories."""

    @property
    def line(self) -> str:
        """Printed as soon as it is known: with many bookings, the next line takes long."""
        wakings = f"{self.in_cache} in the cache, {self.beyond_cache} beyond it"
        return f"{self.bookings} wait, {self.worker_megabytes:.0f} MB, to wake one {wakings}"


class BookingStarter:
    """Starts bookings of one instructor, and takes them to where they wait for the approval."""

    def __init__(self, market: Marketplace, held: BookingPoller, instructor_id: UUID, account_id: str, offering: UUID):
        self._market = market
        self._held = held
        self._instructor_id = instructor_id
        self._account_id = account_id
        self._offering_id = offering

    @classmethod
    async def create(cls, market: Marketplace, held: BookingPoller) -> "BookingStarter":
        id = uuid4()
        account_id = await create_connected_account(market.stripe, id, "Ines", "Instructor", f"{id}@example.com")
        await seed.add_instructor(market.engine, account_id, instructor_id=id)
        offering_id = await seed.add_offering(market.engine, id, PRICE, duration=_SESSION_LENGTH)
        return cls(market, held, id, account_id, offering_id)

    async def start(self, starts_at: datetime) -> BookingTerms:
        """A booking under the plan of far sessions, which waits for the approval when this returns."""
        market, now, ends_at = self._market, datetime.now(UTC), starts_at + _SESSION_LENGTH
        terms = BookingTerms(
            booking_id=uuid4(),
            student_id=await seed.add_student(market.engine),
            instructor_id=self._instructor_id,
            offering_id=self._offering_id,
            slot_id=await seed.add_slot(market.engine, self._offering_id, starts_at, ends_at),
            starts_at=starts_at,
            ends_at=ends_at,
            price=PRICE,
            policy=BookingPolicy(deadlines=_DEADLINES),
            plan=PaymentPlan.CHARGE_THEN_TRANSFER,
            stripe_account_id=self._account_id,
        )
        deadline = checkout_deadline(_DEADLINES, now, starts_at)
        order = ReserveSlot(terms=terms, booked_at=now, checkout_deadline_at=deadline)
        await self._pay((await self._open_checkout(order)).checkout_session_id)
        await self._held.wait_for(terms.booking_id)
        return terms

    async def _open_checkout(self, order: ReserveSlot, tries: int = _TRIES) -> Checkout:
        """On a busy machine, a workflow task may fail, which is retried, and the update with it."""
        starting = WithStartWorkflowOperation(
            BookingWorkflow.run,
            order,
            id=workflow_id(order.terms.booking_id),
            task_queue="holdfast",
            task_timeout=TASK_TIMEOUT,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=search_attributes.at_start(order, "bench"),
        )
        try:
            checkout = await self._market.temporal.execute_update_with_start_workflow(
                BookingWorkflow.open_checkout, id=OPEN_CHECKOUT, start_workflow_operation=starting
            )
        except RPCError:
            if tries == 1:
                raise
            await asyncio.sleep(1)
            return await self._open_checkout(order, tries - 1)
        # The SDK's types take an update without argument for one that returns a coroutine.
        return cast(Checkout, checkout)

    async def approve(self, terms: BookingTerms) -> None:
        approval = Approve(actor=Actor(role=Role.INSTRUCTOR, id=terms.instructor_id))
        await self._handle(terms).execute_update(BookingWorkflow.approve, approval)

    async def complete(self, terms: BookingTerms) -> None:
        """The student confirms a session that has started."""
        confirmation = Confirm(actor=Actor(role=Role.STUDENT, id=terms.student_id))
        await self._handle(terms).execute_update(BookingWorkflow.confirm, confirmation)

    def _handle(self, terms: BookingTerms) -> WorkflowHandle[BookingWorkflow, BookingView]:
        return self._market.temporal.get_workflow_handle_for(BookingWorkflow.run, workflow_id(terms.booking_id))

    async def _pay(self, checkout_session_id: str) -> None:
        url = f"{self._market.stack.stripe_url}/_sandbox/checkout_sessions/{checkout_session_id}/pay"
        (await self._market.http.post(url, json={})).raise_for_status()


async def measure(stack: BenchStack, bookings: Sequence[int]) -> list[Waiting]:
    """Figures with so many bookings waiting, one after the other."""
    market = stack.market
    worker = market.stack.pids["worker"]
    meter = Meter({"worker": worker})
    async with polling.polling(market.engine, polling.held) as held:
        starter = await BookingStarter.create(market, held)
        first_session, numbers = datetime.now(UTC) + _SESSIONS_START_IN, itertools.count()
        waiting: list[BookingTerms] = []
        found: list[Waiting] = []
        for count in sorted(bookings):
            starts = [first_session + next(numbers) * _SESSION_EVERY for _ in range(count - len(waiting))]
            waiting += await map_concurrently(starts, starter.start, _MAX_CONCURRENCY)
            figures = Waiting(count, _megabytes(worker))
            oldest, waiting, newest = waiting[:WOKEN], waiting[WOKEN:-WOKEN], waiting[-WOKEN:]
            await _wake(starter, meter, newest, figures.in_cache)
            await _wake(starter, meter, oldest, figures.beyond_cache)
            found.append(figures)
            print(figures.line, file=sys.stderr, flush=True)
    return found


async def _wake(starter: BookingStarter, meter: Meter, bookings: Sequence[BookingTerms], waking: Waking) -> None:
    async with meter.measuring(waking.usage):
        for terms in bookings:
            start = time.monotonic()
            await starter.approve(terms)
            waking.seconds.append(time.monotonic() - start)


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    [kilobytes] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    return int(kilobytes) / 1024
