"""Takes bookings through the floor, which is a process of its own on a database of its own."""

import asyncio
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from bench.floor import Answer, Call
from models.db import build_engine
from models.domain.messages import ReserveSlot
from models.domain.policy import BookingPolicy, Deadlines, PaymentPlan, checkout_deadline
from models.domain.rationing import BookingLimits
from models.domain.terms import BookingTerms
from sandbox import seed
from sandbox.browser.checkout_page import pay
from sandbox.demo.marketplace import PRICE, Marketplace
from sandbox.demo.people import Unexpected
from sandbox.stack.commands import Command, StartupError, spawn
from sandbox.stack.connected_accounts import create_connected_account
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python

_DATABASE: Final = "floor"
_START_TIMEOUT_SECONDS: Final = 30
_STARTS_IN: Final = timedelta(hours=3)
_EVERY: Final = timedelta(minutes=2)
_LASTS: Final = timedelta(minutes=1)
_DEADLINES: Final = Deadlines()


class Floor:
    """`seconds` lists the durations of each step, by its name."""

    def __init__(
        self, pid: int, engine: AsyncEngine, account_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.pid = pid
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self._engine = engine
        self._account_id = account_id
        self._instructor_id, self._offering_id = uuid4(), uuid4()
        self._writer = writer
        self._answers: dict[int, asyncio.Future[str | None]] = {}
        self._calls = self._orders = 0
        self._reading = asyncio.create_task(self._read(reader))

    async def open(self) -> None:
        """Create the instructor of all bookings."""
        await seed.add_instructor(self._engine, self._account_id, instructor_id=self._instructor_id)
        await seed.add_offering(
            self._engine, self._instructor_id, PRICE, duration=_LASTS, offering_id=self._offering_id
        )

    async def order(self, _: int) -> ReserveSlot:
        """A new student's booking, as the API would place it."""
        now = datetime.now(UTC)
        self._orders += 1
        starts_at = now + _STARTS_IN + self._orders * _EVERY
        ends_at = starts_at + _LASTS
        terms = BookingTerms(
            booking_id=uuid4(),
            student_id=await seed.add_student(self._engine),
            instructor_id=self._instructor_id,
            offering_id=self._offering_id,
            slot_id=await seed.add_slot(self._engine, self._offering_id, starts_at, ends_at),
            starts_at=starts_at,
            ends_at=ends_at,
            price=PRICE,
            policy=BookingPolicy(deadlines=_DEADLINES),
            plan=PaymentPlan.HOLD,
            stripe_account_id=self._account_id,
        )
        deadline = checkout_deadline(_DEADLINES, now, starts_at)
        return ReserveSlot(terms=terms, booked_at=now, checkout_deadline_at=deadline, limits=BookingLimits())

    async def pay_and_approve(self, order: ReserveSlot) -> UUID:
        booking_id = order.terms.booking_id
        with self._timed("book"):
            url = await self._call("book", order=order)
        with self._timed("pay"):
            if not (url and await pay(url)):
                raise Unexpected(f"the Checkout page refused a good card for booking {booking_id}")
        for step in ("authorize", "approve"):
            with self._timed(step):
                await self._call(step, booking_id=booking_id)
        return booking_id

    async def complete(self, booking_id: UUID) -> None:
        with self._timed("complete"):
            await self._call("complete", booking_id=booking_id)

    async def send_mails(self) -> None:
        """All that are due. Until then, none is sent."""
        await self._call("send_mails")

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[step].append(time.monotonic() - start)

    async def _call(self, step: str, order: ReserveSlot | None = None, booking_id: UUID | None = None) -> str | None:
        self._calls += 1
        answer: asyncio.Future[str | None] = asyncio.Future()
        self._answers[self._calls] = answer
        call = Call(number=self._calls, step=step, order=order, booking_id=booking_id)
        self._writer.write(call.model_dump_json().encode() + b"\n")
        return await answer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        async for line in reader:
            answer = Answer.model_validate_json(line)
            waiting = self._answers.pop(answer.number)
            if answer.error:
                waiting.set_exception(Unexpected(f"the floor failed: {answer.error}"))
            else:
                waiting.set_result(answer.result)
        for waiting in self._answers.values():
            waiting.set_exception(Unexpected("the floor's process has ended"))

    async def close(self) -> None:
        self._writer.close()
        await self._reading


@asynccontextmanager
async def floor_process(market: Marketplace) -> AsyncIterator[Floor]:
    """Start the process, and stop it at the end. Raises `StartupError` if it does not start."""
    stack = market.stack
    environment = stack.worker_environment | {"DATABASE_URL": await stack.add_database(_DATABASE)}
    account_id = await create_connected_account(market.stripe, uuid4(), "Ines", "Instructor", f"{uuid4()}@example.com")
    connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Future()
    engine = build_engine(environment["DATABASE_URL"])
    with tempfile.TemporaryDirectory(prefix="holdfast-floor-") as directory:
        socket = str(Path(directory) / "calls")
        server = await asyncio.start_unix_server(lambda *streams: connected.set_result(streams), socket)
        argv = python("-m", "bench.floor", socket)
        process = await spawn(Command(argv=argv, env=child_environment(environment), cwd=PROJECT_ROOT), DEVNULL)
        try:
            try:
                streams = await asyncio.wait_for(connected, _START_TIMEOUT_SECONDS)
            except TimeoutError as error:
                raise StartupError("The floor's process did not start.") from error
            floor = Floor(process.pid, engine, account_id, *streams)
            await floor.open()
            yield floor
            await floor.close()
            await process.wait()
        finally:
            server.close()
            await _stop(process)
            await engine.dispose()


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()
