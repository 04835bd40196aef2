"""What every decision route does: check access, send the update to the workflow, return the booking."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from api.bookings import presenters, queries
from api.bookings.client import BookingClient, Update, WithBookingClient
from api.bookings.interruptions import interrupted
from api.bookings.queries import BookingRecord
from api.bookings.schemas import Booking, BookingForOperator
from api.http.auth import Caller
from api.http.database import Database, WithDatabase
from api.http.idempotency import OptionalKey, register
from api.http.problems import Kind, Problem, problem_responses, unavailable
from api.http.temporal import Closed, Refused, Unreachable
from api.reconciliation.routes import ReconciliationClient, WithReconciliationClient
from models.domain.ids import decision_id
from models.domain.messages import Decision, Refusal, Release, Retry, Settle, SettleAndRefund

D = TypeVar("D", bound=Decision)
Save = Callable[[AsyncSession, datetime], Awaitable[None]]

_BY_OPERATOR = (Settle, Release, SettleAndRefund, Retry)
"""Decisions that move a booking's money. If it is parked after them, nothing has moved."""

DECISION_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {
        "model": BookingForOperator | Booking,
        "description": "The decision was accepted and is still being carried out. The body is the current booking.",
    },
    **problem_responses(
        Kind.IDEMPOTENCY_KEY_REQUIRED,
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NOT_FOUND,
        Kind.NOT_POSSIBLE_NOW,
        Kind.BOOKING_CLOSED,
        Kind.BOOKING_INTERRUPTED,
        Kind.BOOKING_DELETED,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.IDEMPOTENCY_KEY_REUSED,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
}

_UNKNOWN = "The decision may still be carried out. Look at the booking, or send it again with the same Idempotency-Key."


class DecisionHandler:
    """Sends the decision of one request to the booking's workflow."""

    def __init__(
        self,
        response: Response,
        database: Database,
        client: BookingClient,
        reconciliations: ReconciliationClient,
        key: str | None,
    ) -> None:
        self._response = response
        self._database = database
        self._client = client
        self._reconciliations = reconciliations
        self._key = key

    async def decide(
        self,
        booking_id: UUID,
        caller: Caller,
        update: Update[D],
        decision: D,
        body: BaseModel | None = None,
        save: Save | None = None,
    ) -> Booking:
        """The booking after the decision, as the caller may see it. Raises the 404, 409, 410, 422 or 503 `Problem`.

        `save` writes what belongs to the decision and stays out of the workflow's history, before the update is sent.
        """
        await self.find(booking_id, caller)
        id = self._id(booking_id, caller, decision)
        if (id and body) or save:
            now = datetime.now(UTC)
            async with self._database.writing() as session:
                if id and body:
                    await register(session, id, body, now)
                if save:
                    await save(session, now)
        async with self._translated_errors(booking_id, caller):
            carried_out = await self._client.decide(booking_id, update, decision, str(id) if id else None)
        record = await self.find(booking_id, caller)
        if not carried_out:
            self._response.status_code = 202
        elif isinstance(decision, _BY_OPERATOR) and record.request.needs_attention and not record.is_closed:
            sentence = f"No money could be moved: {record.request.attention_reason}."
            raise Problem(Kind.NOT_POSSIBLE_NOW, sentence, booking_status=record.request.status)
        return presenters.booking(record, caller)

    async def has_decided(
        self, booking_id: UUID, caller: Caller, update: Update[D], decision: D, body: BaseModel | None = None
    ) -> bool:
        """Whether an earlier request with this key was carried out, for a booking that has ended.

        Raises the 409, 422 or 503 `Problem`.
        """
        id = self._id(booking_id, caller, decision)
        if id is None:
            return False
        if body:
            async with self._database.writing() as session:
                await register(session, id, body, datetime.now(UTC))
        async with self._translated_errors(booking_id, caller):
            return await self._client.has_decided(booking_id, update, str(id))

    async def find(self, booking_id: UUID, caller: Caller) -> BookingRecord:
        """Raises the 404 or 410 `Problem`."""
        async with self._database.reading() as session:
            return await queries.existing_booking(session, booking_id, caller)

    def _id(self, booking_id: UUID, caller: Caller, decision: Decision) -> UUID | None:
        return decision_id(booking_id, caller.id, type(decision).__name__, self._key) if self._key else None

    @asynccontextmanager
    async def _translated_errors(self, booking_id: UUID, caller: Caller) -> AsyncIterator[None]:
        try:
            yield
        except Refused as refused:
            kind = Kind.SLOT_TAKEN if refused.refusal is Refusal.SLOT_TAKEN else Kind.NOT_POSSIBLE_NOW
            record = await self.find(booking_id, caller)
            raise Problem(kind, str(refused), booking_status=record.request.status) from refused
        except Closed as closed:
            raise await self._closed(await self.find(booking_id, caller)) from closed
        except Unreachable as error:
            raise unavailable(_UNKNOWN) from error

    async def _closed(self, record: BookingRecord) -> Problem:
        """Why there is no outcome: the booking has ended, its workflow has, or the decision has failed halfway."""
        if record.is_closed:
            sentence = "Nothing can be decided about it any more."
            return Problem(Kind.BOOKING_CLOSED, sentence, booking_status=record.request.status)
        try:
            if await self._client.is_open(record.request.id):
                return unavailable(_UNKNOWN)
        except Unreachable:
            return unavailable(_UNKNOWN)
        return await interrupted(record, self._reconciliations)


async def _decision_handler(
    response: Response,
    database: WithDatabase,
    client: WithBookingClient,
    reconciliations: WithReconciliationClient,
    key: OptionalKey = None,
) -> DecisionHandler:
    return DecisionHandler(response, database, client, reconciliations, key)


WithDecisionHandler = Annotated[DecisionHandler, Depends(_decision_handler)]
