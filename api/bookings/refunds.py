"""Refunds of bookings that have ended: saved in Postgres, then carried out by a Refund workflow."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response

from api.bookings import commands
from api.bookings.queries import BookingRecord
from api.bookings.refund_client import RefundClient, WithRefundClient
from api.bookings.schemas import RefundRequest
from api.http.auth import Caller
from api.http.database import Database, WithDatabase
from api.http.problems import Kind, Problem, unavailable
from api.http.temporal import Closed, Unreachable, WorkflowCallError
from models.domain import ids
from models.domain.refunds import RefundView, RetryRefund
from models.domain.states import RefundStatus
from models.tables.refunds import Refund

_IN_PROGRESS = frozenset({RefundStatus.REQUESTED, RefundStatus.RESERVED})


def _refund_id(record: BookingRecord, requested: RefundRequest, key: str | None) -> UUID:
    """Deterministic. Without a key, a request for the same amount while a refund is in progress is that refund."""
    finished = sum(refund.status not in _IN_PROGRESS for refund in record.refunds)
    return ids.refund_id(record.request.id, f"key {key}" if key else f"{requested.amount_minor} after {finished}")


class RefundService:
    def __init__(self, response: Response, database: Database, client: RefundClient) -> None:
        self._response = response
        self._database = database
        self._client = client

    async def order(self, record: BookingRecord, requested: RefundRequest, key: str | None, operator: Caller) -> None:
        """Raises the 409 or 422 `Problem`, or the 503 if it is unknown whether the refund was started."""
        if record.payment is None or not (record.payment.captured_minor or record.refunds):
            raise _closed(record)
        now = datetime.now(UTC)
        refund = Refund(
            id=_refund_id(record, requested, key),
            booking_id=record.request.id,
            status=RefundStatus.REQUESTED,
            amount_minor=requested.amount_minor,
            currency=record.request.currency,
            borne_by=requested.borne_by,
            reason=requested.reason,
            ordered_by=operator.id,
            created_at=now,
            updated_at=now,
        )
        # Free text stays out of the workflow's history, so the order is saved before the workflow is started.
        async with self._database.writing() as session:
            saved = await commands.save_refund(session, refund, operator, now)
        if (saved.amount_minor, saved.borne_by, saved.reason) != (refund.amount_minor, refund.borne_by, refund.reason):
            raise Problem(
                Kind.IDEMPOTENCY_KEY_REUSED,
                "Send a new key with a new refund, and the same key only with the same refund.",
            )
        try:
            view = await self._client.execute(saved.id)
        except (Closed, Unreachable) as error:
            raise unavailable("The refund may be in progress. Send the same request again.") from error
        self._respond(view, record)

    async def retry(self, record: BookingRecord, operator: Caller, key: str | None) -> None:
        """Retry the refund that the student's bank returned, once for each key.

        Raises the 409 `Problem` if there is none, or the 503 if it is unknown whether it was retried.
        """
        try:
            view = await self._retry(record, operator, key)
        except Closed as closed:
            raise _closed(record) from closed
        except Unreachable as error:
            sentence = "The refund may still be retried. Look at the booking, or send it again with the same key."
            raise unavailable(sentence) from error
        self._respond(view, record)

    async def _retry(self, record: BookingRecord, operator: Caller, key: str | None) -> RefundView | None:
        id = str(ids.decision_id(record.request.id, operator.id, RetryRefund.__name__, key)) if key else None
        for refund in record.refunds:
            if id and (retried := await self._client.retried(refund.id, id)):
                return retried
        failed = next((refund for refund in record.refunds if refund.status is RefundStatus.FAILED), None)
        if failed is None:
            raise Closed("no refund has failed")
        return await self._client.retry(failed.id, RetryRefund(actor=operator.actor), id)

    async def dismiss_warnings(self, record: BookingRecord, reason: str, operator: Caller) -> None:
        """Decide that the fraud warnings of the booking lead to nothing. Raises the 409 or 503 `Problem`."""
        async with self._database.writing() as session:
            warning_ids = await commands.dismiss_fraud_warnings(
                session, record.request.id, reason, operator, datetime.now(UTC)
            )
        if not warning_ids:
            sentence = "No fraud warning about this booking has been received."
            raise Problem(Kind.NOT_POSSIBLE_NOW, sentence, booking_status=record.request.status)
        try:
            for warning_id in warning_ids:
                await self._client.look_at_warning(warning_id)
        except WorkflowCallError as error:
            sentence = "The warning is dismissed. Send the request again to see the booking without it."
            raise unavailable(sentence) from error

    def _respond(self, view: RefundView | None, record: BookingRecord) -> None:
        if view is None:
            self._response.status_code = 202
        elif view.refusal:
            raise Problem(Kind.NOT_POSSIBLE_NOW, view.refusal, booking_status=record.request.status)


def _closed(record: BookingRecord) -> Problem:
    sentence = "Nothing can be decided about it any more."
    return Problem(Kind.BOOKING_CLOSED, sentence, booking_status=record.request.status)


async def _refund_service(response: Response, database: WithDatabase, client: WithRefundClient) -> RefundService:
    return RefundService(response, database, client)


WithRefundService = Annotated[RefundService, Depends(_refund_service)]
