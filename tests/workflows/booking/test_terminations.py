"""The terminate button of Temporal's UI: at any task of any ending, a booking is ended as Stripe has it."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import stripe
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.ids import workflow_id
from models.domain.messages import RecordEnding, ReserveSlot
from models.domain.money import Money
from models.domain.payments import SettlePayment
from models.domain.policy import BookingPolicy, PaymentPlan
from models.domain.reconciliation import ReconciliationOrder
from models.domain.states import HOLDS_SLOT
from models.domain.stripe_events import BOOKING_METADATA
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment
from models.tables.reconciliation import Drift
from sandbox.demo.figures import Figures, figures_at_stripe
from tests.workflows.booking import endings
from tests.workflows.booking.endings import Ending
from tests.workflows.saga import HUNDRED, Booked, Saga
from workflows.orphans import OrphanSweepWorkflow
from workflows.reconciliation import ReconciliationWorkflow

pytestmark = [
    pytest.mark.on_demand,
    pytest.mark.timeout(300),
    # The SDK's, when a workflow is evicted while its local activity ends.
    pytest.mark.filterwarnings("ignore:Cannot find activity to cancel:UserWarning"),
]

_AT_ONCE = 6
"""So many bookings are made at once that each is accepted before its session begins."""
_PATIENCE_SECONDS = 60
_CHARGE = [f"data.latest_charge.{path}" for path in ("transfer", "application_fee", "balance_transaction")]
Path = tuple[str, ...]
"""What a booking has done: its activities, in order."""


@dataclass
class Terminations:
    """Terminates bookings after an activity, and knows what each booking has done."""

    saga: Saga
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    planned: dict[str, int | None] = field(default_factory=dict)
    """After how many activities a workflow is terminated; `None`: once its ending is recorded."""
    terminated: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    paths: dict[str, Path] = field(default_factory=lambda: defaultdict(tuple))

    async def on_activity(self, id: str, name: str, message: Any) -> None:
        self.paths[id] += (_step(name, message),)
        after = self.planned.get(id)
        if id in self.planned and (len(self.paths[id]) == after if after else name == "record_ending"):
            await self.saga.env.client.get_workflow_handle(id).terminate("by a test")
            self.terminated[id].set()


def _step(name: str, message: Any) -> str:
    match message:
        case SettlePayment(split=split):
            return f"{name} {split.kept.amount_minor}"
        case RecordEnding(ending=ending):
            return f"{name} {ending.booking}"
    return name


@dataclass(frozen=True)
class One(Saga):
    """A saga in which one booking is played and terminated."""

    terminations: Terminations = field(kw_only=True)
    after: int | None = field(kw_only=True)
    ordered: "asyncio.Future[UUID]" = field(kw_only=True)
    _inside: list[bool] = field(default_factory=list)

    async def order(
        self,
        starts_in: timedelta = timedelta(days=3),
        price: Money = HUNDRED,
        policy: BookingPolicy | None = None,
        lasts: timedelta = timedelta(hours=1),
    ) -> ReserveSlot:
        order = await super().order(starts_in, price, policy, lasts)
        if not self.ordered.done():
            self.terminations.planned[workflow_id(order.terms.booking_id)] = self.after
            self.ordered.set_result(order.terms.booking_id)
        return order

    async def booked(self, **wish: Any) -> Booked:
        return await self._in_turn(lambda: Saga.booked(self, **wish))

    async def paid(self, **wish: Any) -> Booked:
        return await self._in_turn(lambda: Saga.paid(self, **wish))

    async def accepted(self, **wish: Any) -> Booked:
        return await self._in_turn(lambda: Saga.accepted(self, **wish))

    async def _in_turn(self, make: Callable[[], Awaitable[Booked]]) -> Booked:
        if self._inside:
            return await make()
        async with self.terminations.gate:
            self._inside.append(True)
            try:
                return await make()
            finally:
                self._inside.clear()


async def _terminate(terminations: Terminations, play: Ending, after: int | None = None) -> UUID:
    """Play the booking until it is terminated."""
    parts = {name: getattr(terminations.saga, name) for name in Saga.__dataclass_fields__}
    ordered: asyncio.Future[UUID] = asyncio.get_running_loop().create_future()
    one = One(**parts, terminations=terminations, after=after, ordered=ordered)
    playing = asyncio.ensure_future(play(one))
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await terminations.terminated[workflow_id(await ordered)].wait()
    finally:
        playing.cancel()
        # It may have failed, because its booking was terminated.
        await asyncio.gather(playing, return_exceptions=True)
    return await ordered


def _unfinished(paths: dict[Ending, Path]) -> dict[Path, tuple[Ending, int]]:
    """Each different beginning of a path, and an ending that begins so, with its length.

    After a look at Stripe, the booking is to whoever finds it what it was before.
    """
    return {
        path[:length]: (play, length)
        for play, path in reversed(paths.items())
        for length in range(1, len(path))
        if not path[length - 1].startswith(("record_ending", "look_up"))
    }


async def _terminate_all(saga: Saga, alone: tuple[Ending, ...], together: tuple[Ending, ...]) -> dict[UUID, Path]:
    """Bookings that were terminated, each after something different."""
    terminations = Terminations(saga)
    saga.faults.on_activity = terminations.on_activity
    played = {play: await _terminate(terminations, play) for play in alone}
    ids = await asyncio.gather(*(_terminate(terminations, play) for play in together))
    ended = played | dict(zip(together, ids, strict=True))
    unfinished = _unfinished({play: terminations.paths[workflow_id(id)] for play, id in ended.items()})
    ids = [await _terminate(terminations, *point) for point in unfinished.values() if point[0] in alone]
    ids += await asyncio.gather(
        *(_terminate(terminations, *point) for point in unfinished.values() if point[0] in together)
    )
    saga.faults.on_activity = None
    return {id: terminations.paths[workflow_id(id)] for id in (*ended.values(), *ids)}


async def _intents(saga: Saga, bookings: dict[UUID, Path]) -> dict[UUID, stripe.PaymentIntent]:
    listed = await saga.stripe.v1.payment_intents.list_async({"limit": 100, "expand": _CHARGE})
    found = {}
    async for intent in listed.auto_paging_iter():
        id = (intent.metadata.to_dict() if intent.metadata else {}).get(BOOKING_METADATA)
        if id and UUID(id) in bookings:
            found[UUID(id)] = intent
    return found


async def _wrong(saga: Saga, bookings: dict[UUID, Path]) -> list[str]:
    """What is not as it has to be once a terminated booking is ended."""
    async with AsyncSession(saga.engine) as session:
        requests = {row.id: row for row in await session.exec(select(BookingRequest))}
        payments = {row.booking_id: row for row in await session.exec(select(Payment))}
        drifts = set(await session.exec(select(Drift.booking_id).where(col(Drift.resolved_at).is_(None))))
    intents = await _intents(saga, bookings)
    wrong = []
    for id, path in bookings.items():
        request, payment, intent = requests.get(id), payments.get(id), intents.get(id)
        is_ended = request is None or (request.status not in HOLDS_SLOT and not request.needs_attention)
        is_let_go = intent is None or intent.status in ("succeeded", "canceled")
        figures = await figures_at_stripe(saga.stripe, intent) if intent else Figures()
        taken = (figures.student_paid_minor, figures.platform_kept_minor)
        is_paid = payment is not None and payment.captured_minor
        recorded = (payment.captured_minor, payment.platform_fee_minor) if payment and is_paid else (0, 0)
        if not (is_ended and is_let_go and recorded == taken and id not in drifts):
            status = request.status if request else None
            wrong.append(f"after {' > '.join(path)}: {status}, {recorded}, not {taken}, {intent and intent.status}")
    return wrong


@pytest.mark.parametrize(
    ("plan", "alone", "together"),
    [
        (PaymentPlan.HOLD, endings.ALONE, endings.TOGETHER),
        (PaymentPlan.CHARGE_THEN_TRANSFER, (endings.retried_by_operator,), endings.CHARGED),
    ],
)
async def test_a_booking_that_is_terminated_at_any_task_is_ended_as_stripe_has_it(
    live_saga: Saga, alone: tuple[Ending, ...], together: tuple[Ending, ...]
) -> None:
    """After each activity of each ending: in between, neither the records nor Stripe change.

    Of a charge, the endings in which its money moves otherwise than that of a hold.

    Bookings that have done the same so far are the same to whoever finds them, so one of them is terminated.
    """
    saga, client = live_saga, live_saga.env.client
    bookings = await _terminate_all(saga, alone, together)
    swept = await client.execute_workflow(OrphanSweepWorkflow.run, id=f"sweep-{uuid4()}", task_queue=saga.queue)
    assert swept.stuck == 0
    reconciled = await client.execute_workflow(
        ReconciliationWorkflow.run, ReconciliationOrder(), id=f"reconciliation-{uuid4()}", task_queue=saga.queue
    )
    wrong = await _wrong(saga, bookings)
    assert not wrong, "\n".join(wrong)
    assert reconciled.holds_released == 0
    assert swept.ended == sum(not path[-1].startswith("record_ending") for path in bookings.values()) > len(together)
