"""Where to look a booking up, and what happened: objects at Stripe, the workflow in Temporal, events and mails."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlmodel import col, select

from api.bookings import queries
from api.bookings.queries import BookingRecord
from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.http.problems import Kind, problem_responses
from api.http.schema_types import ResponseModel
from api.settings import Settings, WithSettings
from models.domain.actors import Role
from models.domain.ids import workflow_id
from models.domain.notifications import NotificationKind, Recipient
from models.domain.payments import stripe_dashboard
from models.tables.outbox import OutboxMessage

router = APIRouter(prefix="/v1/operator/bookings/{booking_id}", tags=["operator"])


class StripeObject(ResponseModel):
    object: str
    """Stripe's name for it: `payment_intent`, `charge`, `refund`, `payout`, or `account`."""
    id: str
    """Stripe's id of it."""
    url: str
    """The object in the Stripe Dashboard."""


class TracedEvent(ResponseModel):
    action: str
    """What happened, for example `booking.approve`."""
    at: datetime
    """When it happened."""
    by: Role
    """The role of whoever did it."""
    by_id: UUID | None
    """Their id. `null` for the platform."""
    channel: str
    """How it reached Holdfast."""
    detail: dict[str, Any]
    """Ids, codes and amounts; of an operator's decision, its reason."""


class TracedMail(ResponseModel):
    kind: NotificationKind
    """What it is about."""
    to: Recipient
    """Whom it is for."""
    due_at: datetime
    """When it is to be sent."""
    sent_at: datetime | None
    """When it was sent."""
    gave_up_at: datetime | None
    """When the last attempt failed."""
    last_error: str | None
    """A code, if the last attempt failed."""


class BookingTrace(ResponseModel):
    booking_id: UUID
    """The booking."""
    workflow_id: str
    """Its workflow in Temporal."""
    temporal_url: str | None
    """The workflow in Temporal's UI; `null` unless `HOLDFAST_TEMPORAL_UI_URL` is set."""
    stripe: list[StripeObject]
    """The booking's objects at Stripe, each with a link to Stripe's dashboard."""
    events: list[TracedEvent]
    """The audit trail, earliest first."""
    mails: list[TracedMail]
    """Earliest first, also those that are not sent yet."""


@router.get(
    "/trace",
    operation_id="traceBooking",
    responses=problem_responses(
        Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NOT_FOUND, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)
async def trace_booking(
    booking_id: UUID, operator: AsOperator, database: WithDatabase, settings: WithSettings
) -> BookingTrace:
    """Everything that happened to the booking, and where its money and its workflow can be looked up."""
    order = (col(OutboxMessage.created_at), col(OutboxMessage.id))
    to_send = select(OutboxMessage).where(col(OutboxMessage.booking_id) == booking_id).order_by(*order)
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, operator)
        events = await queries.events(session, booking_id, operator, 0)
        mails = (await session.exec(to_send)).all()
    return BookingTrace(
        booking_id=booking_id,
        workflow_id=workflow_id(booking_id),
        temporal_url=temporal_url(booking_id, settings),
        stripe=_stripe_objects(record),
        events=[
            TracedEvent(
                action=event.action,
                at=event.at,
                by=event.actor_role,
                by_id=event.actor_id,
                channel=event.channel,
                detail=event.detail,
            )
            for event in events
        ],
        mails=[
            TracedMail(
                kind=mail.kind,
                to=mail.recipient_role,
                due_at=mail.due_at,
                sent_at=mail.sent_at,
                gave_up_at=mail.gave_up_at,
                last_error=mail.last_error,
            )
            for mail in mails
        ],
    )


def temporal_url(booking_id: UUID, settings: Settings) -> str | None:
    ui = settings.http.holdfast_temporal_ui_url
    return f"{str(ui).rstrip('/')}/workflows/{workflow_id(booking_id)}" if ui else None


def _stripe_objects(record: BookingRecord) -> list[StripeObject]:
    root, payment = stripe_dashboard(record.request.checkout_session_id), record.payment
    account = record.request.stripe_account_id
    found = []
    if payment and payment.payment_intent_id:
        found.append(("payment_intent", payment.payment_intent_id, f"payments/{payment.payment_intent_id}"))
        if payment.charge_id:
            found.append(("charge", payment.charge_id, f"payments/{payment.charge_id}"))
    refund_ids = [refund.stripe_refund_id for refund in record.refunds if refund.stripe_refund_id]
    refund_ids += payment.ending_refund_ids if payment else []
    found += [("refund", id, f"refunds/{id}") for id in refund_ids]
    found.append(("account", account, f"connect/accounts/{account}"))
    if record.payout and (payout_id := record.payout.stripe_payout_id):
        found.append(("payout", payout_id, f"connect/accounts/{account}/payouts/{payout_id}"))
    return [StripeObject(object=name, id=id, url=root + path) for name, id, path in found]
