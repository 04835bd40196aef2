"""Plays rounds of random histories in this process, with the turns of `histories.py` that need no API and no reset."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import stripe
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from models.domain.actors import AbsentParty, Actor, Role
from models.domain.ids import workflow_id
from models.domain.messages import (
    OPEN_CHECKOUT,
    Approve,
    Cancel,
    Complete,
    Confirm,
    ContestNoShow,
    Decision,
    Object,
    PaymentEvent,
    Reject,
    Release,
    ReportNoShow,
    ReserveSlot,
    Retry,
    Settle,
    SettleAndRefund,
)
from models.domain.money import Money
from models.domain.policy import PaymentPlan, checkout_deadline
from models.domain.terms import BookingTerms
from models.tables.bookings import BookingRequest
from sandbox.browser.checkout_page import GOOD_CARD, POOR_CARD, CheckoutClosed, pay
from sandbox.faults import books, in_process
from sandbox.faults.histories import Turn
from sandbox.faults.invariants import violations
from sandbox.faults.plays import Answer, Played
from workflows import search_attributes
from workflows.booking.workflow import BookingWorkflow

BOOKINGS: Final = 100
_TURN: Final = timedelta(minutes=15)
"""What a second of a turn's time lasts here."""
_AFTER_START: Final = ("confirm", "complete", "object", "report_student_absent", "report_instructor_absent", "contest")
_STARTS_IN: Final = (timedelta(hours=5), timedelta(hours=12), timedelta(days=2), timedelta(days=6), timedelta(days=21))
_ANSWERED_SECONDS: Final = 0.5
"""Real time. An answer that takes longer waits for time to be skipped: its activity has failed, and is tried again."""
_AT_ONCE: Final = 16
_DAYS_TO_THE_END: Final = (1, 1, 2, 4, 8, 8, 16)
"""Some at a time: the server does in each sleep all that becomes due."""
_RELEASES: Final = 5
_SKIPS: Final = 5
_OPERATOR: Final = Actor(role=Role.OPERATOR, id=uuid4())
_QUARTER: Final = Money(amount_minor=2_500, currency=in_process.PRICE.currency)


@dataclass(kw_only=True)
class Booking(Played):
    env: WorkflowEnvironment
    servers: in_process.Servers
    terms: BookingTerms

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.env.client.get_workflow_handle(workflow_id(self.terms.booking_id))

    @property
    def student(self) -> Actor:
        return Actor(role=Role.STUDENT, id=self.terms.student_id)

    @property
    def instructor(self) -> Actor:
        return Actor(role=Role.INSTRUCTOR, id=self.terms.instructor_id)

    async def book(self) -> None:
        now = await self.env.get_current_time()
        deadline = checkout_deadline(self.terms.policy.deadlines, now, self.terms.starts_at)
        order = ReserveSlot(terms=self.terms, booked_at=now, checkout_deadline_at=deadline)
        start = WithStartWorkflowOperation(
            BookingWorkflow.run,
            order,
            id=workflow_id(self.terms.booking_id),
            task_queue=in_process.QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=search_attributes.at_start(
                order, search_attributes.summary("Session", self.terms.starts_at, self.terms.price)
            ),
        )
        _ = await self.env.client.execute_update_with_start_workflow(
            BookingWorkflow.open_checkout, id=OPEN_CHECKOUT, start_workflow_operation=start
        )

    async def pay(self, number: int, card: str = GOOD_CARD) -> None:
        """On the first page, or on that of a payment that is made again."""
        async with AsyncSession(self.servers.engine) as session:
            row = await session.get(BookingRequest, self.terms.booking_id)
        if row is not None and row.checkout_url:
            await pay(row.checkout_url, card)
            await self.notify(number)

    async def notify(self, number: int) -> None:
        """Stripe's event arrives, arrives twice, or is lost."""
        event = PaymentEvent(event_id=f"evt_{uuid4().hex}", type="payment_intent.drawn")
        for _ in range((0, 2, 1, 1, 1)[number % 5]):
            await self.handle.signal(BookingWorkflow.payment_event, event)

    async def decide(self, update: Any, decision: Decision) -> None:
        request = f"{decision.actor.role} {_SAID.get(type(decision), type(decision).__name__.lower())}"
        key = str(uuid4())
        try:
            view = await self.handle.execute_update(update, decision, id=key)
        except WorkflowUpdateFailedError:
            self.answers.append(Answer(request, 409, {}, key))
        else:
            self.answers.append(Answer(request, 200, {"status": view.booking_status}, key))

    async def dashboard(self, act: Callable[[stripe.PaymentIntent], Awaitable[object]], number: int) -> None:
        async with AsyncSession(self.servers.engine) as session:
            row = await session.get(BookingRequest, self.terms.booking_id)
        if row is not None and row.checkout_session_id:
            page = await self.servers.stripe.v1.checkout.sessions.retrieve_async(
                row.checkout_session_id, {"expand": ["payment_intent"]}
            )
            if isinstance(page.payment_intent, stripe.PaymentIntent):
                await act(page.payment_intent)
                await self.notify(number)

    async def cancel_hold(self, intent: stripe.PaymentIntent) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"{self.servers.stripe_url}/_sandbox/payment_intents/{intent.id}/cancel"
            (await client.post(url, json={})).raise_for_status()

    async def capture(self, intent: stripe.PaymentIntent) -> None:
        await self.servers.stripe.v1.payment_intents.capture_async(intent.id)


_SAID: Final = {ReportNoShow: "no-show", SettleAndRefund: "refund"}


def _decides(
    update: Any, who: str, decision: Callable[[Actor], Decision]
) -> Callable[[Booking, int], Awaitable[object]]:
    def act(booking: Booking, _: int) -> Awaitable[object]:
        return booking.decide(update, decision(_OPERATOR if who == "operator" else getattr(booking, who)))

    return act


def _absent(party: AbsentParty) -> Callable[[Actor], Decision]:
    return lambda actor: ReportNoShow(actor=actor, absent=party)


_REFUND: Final = _decides(
    BookingWorkflow.refund, "operator", lambda actor: SettleAndRefund(actor=actor, amount=_QUARTER, has_reason=True)
)
ACTS: Final[Mapping[str, Callable[[Booking, int], Awaitable[object]]]] = {
    "book": lambda booking, _: booking.book(),
    "pay": lambda booking, number: booking.pay(number),
    "decline": lambda booking, number: booking.pay(number, POOR_CARD),
    "approve": _decides(BookingWorkflow.approve, "instructor", lambda actor: Approve(actor=actor)),
    "reject": _decides(BookingWorkflow.reject, "instructor", lambda actor: Reject(actor=actor)),
    "confirm": _decides(BookingWorkflow.confirm, "student", lambda actor: Confirm(actor=actor)),
    "complete": _decides(BookingWorkflow.complete, "instructor", lambda actor: Complete(actor=actor)),
    "object": _decides(BookingWorkflow.object, "student", lambda actor: Object(actor=actor)),
    "report_student_absent": _decides(BookingWorkflow.report_no_show, "instructor", _absent(AbsentParty.STUDENT)),
    "report_instructor_absent": _decides(BookingWorkflow.report_no_show, "student", _absent(AbsentParty.INSTRUCTOR)),
    "contest": _decides(BookingWorkflow.contest_no_show, "instructor", lambda actor: ContestNoShow(actor=actor)),
    "cancel": _decides(BookingWorkflow.cancel, "student", lambda actor: Cancel(actor=actor)),
    "cancel_by_instructor": _decides(BookingWorkflow.cancel, "instructor", lambda actor: Cancel(actor=actor)),
    "operator_release": _decides(BookingWorkflow.release, "operator", lambda actor: Release(actor=actor)),
    "operator_settle": _decides(BookingWorkflow.settle, "operator", lambda actor: Settle(actor=actor, has_reason=True)),
    "operator_refund": _REFUND,
    "operator_retry": _decides(BookingWorkflow.retry, "operator", lambda actor: Retry(actor=actor)),
    "cancel_workflow": lambda booking, _: booking.handle.cancel(),
    "cancel_hold_in_dashboard": lambda booking, number: booking.dashboard(booking.cancel_hold, number),
    "capture_in_dashboard": lambda booking, number: booking.dashboard(booking.capture, number),
}
_IMPOSSIBLE: Final = (WorkflowUpdateFailedError, RPCError, CheckoutClosed, stripe.StripeError, httpx.HTTPError)


async def play(servers: in_process.Servers, seed: int, turns: Sequence[Turn]) -> list[str]:
    """What one round violates. A seed can be played once on its servers: it draws its bookings' ids."""
    since = datetime.now(UTC) - timedelta(seconds=1)
    turns = [turn for turn in turns if turn.act in ACTS]
    async with in_process.environment(servers, seed) as env:
        begun = await env.get_current_time()
        bookings = await _bookings(env, servers, seed, turns, begun)
        pending: set[asyncio.Task[None]] = set()
        for at, turn in sorted(_schedule(turns, bookings, begun), key=lambda each: each[0]):
            await _skip(env, at - await env.get_current_time())
            assert turn.booking is not None
            pending.add(asyncio.create_task(_play_turn(bookings[turn.booking], turn)))
            if len(pending) > _AT_ONCE:
                first = asyncio.FIRST_COMPLETED
                _, pending = await asyncio.wait(pending, timeout=_ANSWERED_SECONDS, return_when=first)
        await _end(env, list(bookings.values()), pending)
        ids = {each.terms.booking_id for each in bookings.values()}
        workflows = {id: await in_process.execution(env, id) for id in ids}
    found = await books.read(servers.engine, servers.stripe, workflows, ids, since, {})
    return [
        f"booking {number}: {line}"
        for number, each in bookings.items()
        for line in (
            *violations(each, found[each.terms.booking_id]),
            *(["it never ends"] if found[each.terms.booking_id].is_open else []),
        )
    ]


async def _bookings(
    env: WorkflowEnvironment, servers: in_process.Servers, seed: int, turns: Sequence[Turn], begun: datetime
) -> dict[int, Booking]:
    bookings = {}
    for number, turn in {turn.booking: turn for turn in reversed(turns) if turn.act == "book"}.items():
        assert number is not None
        starts_in = _STARTS_IN[turn.number % len(_STARTS_IN)]
        plan = PaymentPlan.CHARGE_THEN_TRANSFER if starts_in == _STARTS_IN[-1] else PaymentPlan.HOLD
        id = in_process.booking_id(seed, number)
        terms = await servers.pairs[number].terms(servers.engine, id, plan, begun + starts_in)
        bookings[number] = Booking(env=env, servers=servers, terms=terms)
    return bookings


def _schedule(turns: Sequence[Turn], bookings: Mapping[int, Booking], begun: datetime) -> list[tuple[datetime, Turn]]:
    """Reports on a session come after its start, in their order."""
    return [
        (begun + turn.at * _TURN + (bookings[turn.booking].terms.starts_at - begun) * (turn.act in _AFTER_START), turn)
        for turn in turns
        if turn.booking is not None and turn.booking in bookings
    ]


async def _skip(env: WorkflowEnvironment, duration: timedelta) -> None:
    """The server answers once all is done that becomes due, which takes long on a busy machine."""
    for _ in range(_SKIPS):
        with contextlib.suppress(RPCError):
            return await env.sleep(max(duration, timedelta(0)))
    return None


async def _play_turn(booking: Booking, turn: Turn) -> None:
    try:
        await ACTS[turn.act](booking, turn.number)
    except _IMPOSSIBLE:
        """It came at the wrong time."""


async def _end(env: WorkflowEnvironment, bookings: Sequence[Booking], pending: set[asyncio.Task[None]]) -> None:
    """Every deadline passes. An operator releases what still waits for one."""
    for days in _DAYS_TO_THE_END:
        await _skip(env, timedelta(days=days))
    for _ in range(_RELEASES):
        waiting = [each for each in bookings if await _is_open(env, each.terms.booking_id)]
        if not waiting:
            break
        pending |= {asyncio.create_task(_play_turn(each, Turn(0, 0, "operator_release", 0))) for each in waiting}
        _, pending = await asyncio.wait(pending, timeout=_ANSWERED_SECONDS)
        await _skip(env, timedelta(hours=1))
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


async def _is_open(env: WorkflowEnvironment, id: UUID) -> bool:
    try:
        return (await in_process.execution(env, id)).is_open
    except RPCError:
        # It was never booked.
        return False
