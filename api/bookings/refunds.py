"""Refunds of bookings that have ended: kept in Postgres, then carried out by a workflow of their own."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response

from api.bookings import commands
from api.bookings.queries import BookingRecord
from api.bookings.refund_client import RefundClient, WithRefunds
from api.bookings.schemas import RefundRequest
from api.http.auth import Caller
from api.http.database import Database, WithDatabase
from api.http.problems import Kind, Problem, unavailable
from api.http.temporal import Closed, Unreachable
from models.domain import ids
from models.domain.refunds import RefundView, RetryRefund
from models.domain.states import RefundStatus
from models.tables.refunds import Refund

_NOT_OVER = frozenset({RefundStatus.REQUESTED, RefundStatus.RESERVED})


def order_id(record: BookingRecord, ordered: RefundRequest, key: str | None) -> UUID:
    """Which refund a request means. Without a key, one that repeats another while it is under way is the same."""
    over = sum(refund.status not in _NOT_OVER for refund in record.refunds)
    return ids.refund_id(record.request.id, f"key {key}" if key else f"{ordered.amount_minor} after {over}")


class RefundService:
    def __init__(self, response: Response, database: Database, client: RefundClient) -> None:
        self._response = response
        self._database = database
        self._client = client

    async def order(self, record: BookingRecord, ordered: RefundRequest, key: str | None, operator: Caller) -> None:
        """Raises the 409 or 422 `Problem`, and 503 when nothing is known to have been begun."""
        if record.payment is None or not (record.payment.captured_minor or record.refunds):
            raise _closed(record)
        now = datetime.now(UTC)
        wanted = Refund(
            id=order_id(record, ordered, key),
            booking_id=record.request.id,
            status=RefundStatus.REQUESTED,
            amount_minor=ordered.amount_minor,
            currency=record.request.currency,
            borne_by=ordered.borne_by,
            reason=ordered.reason,
            ordered_by=operator.id,
            created_at=now,
            updated_at=now,
        )
        # A person's words stay out of the workflow's history, so the order is kept before it is carried out.
        async with self._database.writing() as session:
            kept = await commands.keep_refund(session, wanted, operator.actor, now)
        if (kept.amount_minor, kept.borne_by, kept.reason) != (wanted.amount_minor, wanted.borne_by, wanted.reason):
            raise Problem(Kind.IDEMPOTENCY_KEY_REUSED, "The key came with another refund. A new one needs a new key.")
        try:
            view = await self._client.carry_out(kept.id)
        except (Closed, Unreachable) as silence:
            raise unavailable("The refund may be under way: send the same request again.") from silence
        self._answer(view, record)

    async def try_again(self, record: BookingRecord, operator: Caller) -> None:
        """Have the refund tried again that the student's bank sent back. Raises the 409 `Problem` without one."""
        failed = next((refund for refund in record.refunds if refund.status is RefundStatus.FAILED), None)
        if failed is None:
            raise _closed(record)
        try:
            view = await self._client.try_again(failed.id, RetryRefund(actor=operator.actor))
        except Closed as closed:
            raise _closed(record) from closed
        except Unreachable as silence:
            raise unavailable("The refund was not tried again; send the request again.") from silence
        self._answer(view, record)

    def _answer(self, view: RefundView | None, record: BookingRecord) -> None:
        if view is None:
            self._response.status_code = 202
        elif view.refusal:
            raise Problem(Kind.NOT_POSSIBLE_NOW, view.refusal, booking_status=record.request.status)


def _closed(record: BookingRecord) -> Problem:
    sentence = "Nothing can be decided about it any more."
    return Problem(Kind.BOOKING_CLOSED, sentence, booking_status=record.request.status)


async def _refunder(response: Response, database: WithDatabase, client: WithRefunds) -> RefundService:
    return RefundService(response, database, client)


WithRefunder = Annotated[RefundService, Depends(_refunder)]
