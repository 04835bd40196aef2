"""What every decision route does: check access, send the update to the workflow, return the booking."""

from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Response

from api.bookings import presenters, queries
from api.bookings.client import BookingClient, Update, WithBookingClient
from api.bookings.queries import BookingRecord
from api.bookings.schemas import Booking, BookingForOperator
from api.http.auth import Caller
from api.http.database import Database, WithDatabase
from api.http.problems import Kind, Problem, problem_responses, unavailable
from api.http.temporal import Closed, Refused, Unreachable
from models.domain.messages import Decision, Refusal

D = TypeVar("D", bound=Decision)

DECISION_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {
        "model": BookingForOperator | Booking,
        "description": "The decision was accepted and is still being carried out. The body is the current booking.",
    },
    **problem_responses(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NOT_FOUND,
        Kind.NOT_POSSIBLE_NOW,
        Kind.BOOKING_CLOSED,
        Kind.BOOKING_DELETED,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
}


class DecisionHandler:
    """Sends the decision of one request to the booking's workflow."""

    def __init__(self, response: Response, database: Database, client: BookingClient) -> None:
        self._response = response
        self._database = database
        self._client = client

    async def decide(
        self, booking_id: UUID, caller: Caller, update: Update[D], decision: D, id: str | None = None
    ) -> Booking:
        """The booking after the decision, as the caller may see it. Raises the 404, 409, 410 or 503 `Problem`."""
        await self.find(booking_id, caller)
        try:
            carried_out = await self._client.decide(booking_id, update, decision, id)
        except Refused as refused:
            kind = Kind.SLOT_TAKEN if refused.refusal is Refusal.SLOT_TAKEN else Kind.NOT_POSSIBLE_NOW
            raise await self._conflict(kind, str(refused), booking_id, caller) from refused
        except Closed as closed:
            sentence = "Nothing can be decided about it any more."
            raise await self._conflict(Kind.BOOKING_CLOSED, sentence, booking_id, caller) from closed
        except Unreachable as error:
            raise unavailable("The decision was not taken; send it again.") from error
        if not carried_out:
            self._response.status_code = 202
        return presenters.booking(await self.find(booking_id, caller), caller)

    async def has_decided(self, booking_id: UUID, update: Update[D], id: str) -> bool:
        """Whether the decision with this `id` was carried out. Raises the 503 `Problem`."""
        try:
            return await self._client.has_decided(booking_id, update, id)
        except Unreachable as error:
            raise unavailable("The decision was not taken; send it again.") from error

    async def find(self, booking_id: UUID, caller: Caller) -> BookingRecord:
        """Raises the 404 or 410 `Problem`."""
        async with self._database.reading() as session:
            return await queries.existing_booking(session, booking_id, caller)

    async def _conflict(self, kind: Kind, sentence: str, booking_id: UUID, caller: Caller) -> Problem:
        record = await self.find(booking_id, caller)
        return Problem(kind, sentence, booking_status=record.request.status)


async def _decision_handler(response: Response, database: WithDatabase, client: WithBookingClient) -> DecisionHandler:
    return DecisionHandler(response, database, client)


WithDecisionHandler = Annotated[DecisionHandler, Depends(_decision_handler)]
