"""Stripe's webhooks. An event is verified and handed to Temporal before the response 200: Temporal is the inbox."""

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from pydantic import BaseModel, Field, ValidationError
from stripe import SignatureVerificationError, WebhookSignature

from api.http.problems import Kind, Problem, problem_responses, unavailable
from api.http.temporal import WorkflowCallError, translate_errors
from api.settings import Settings, WithSettings
from models.domain.stripe_events import RoutingResult, StripeEvent
from workflows.client.event_router import ROUTING_TIMEOUT, StripeEventRouter

router = APIRouter(prefix="/v1/stripe", tags=["stripe"])
log = logging.getLogger("holdfast.api")

_TOLERANCE_SECONDS = 300
"""Stripe's default ("Verify webhook signatures manually"): an older event may be a replay."""

_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}


async def _event_router(request: Request) -> StripeEventRouter:
    event_router: StripeEventRouter = request.app.state.event_router
    return event_router


WithEventRouter = Annotated[StripeEventRouter, Depends(_event_router)]


_ACCOUNT_ID = Field(default=None, max_length=255, pattern=r"^[^\x00]*$")


class _RelatedObject(BaseModel):
    id: str | None = _ACCOUNT_ID
    type: str


class _Event(BaseModel):
    """The fields of an event that are used. An event only triggers a look-up: the state is retrieved from Stripe."""

    id: str = Field(max_length=255)
    type: str = Field(max_length=255)
    data: Any = None
    account: str | None = _ACCOUNT_ID
    """The connected account that the event is about."""
    related_object: _RelatedObject | None = None
    """What a thin event is about."""
    livemode: bool

    @property
    def account_id(self) -> str | None:
        related = self.related_object
        return related.id if related and related.type == "v2.core.account" else self.account


@router.post(
    "/webhook",
    operation_id="receiveStripeEvent",
    responses=problem_responses(
        Kind.SIGNATURE_INVALID, Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
    openapi_extra=_BODY,
)
async def receive(
    request: Request,
    event_router: WithEventRouter,
    settings: WithSettings,
    signature: Annotated[str | None, Header(alias="Stripe-Signature")] = None,
) -> dict[str, Any]:
    """Called by Stripe. Events may arrive more than once and in any order."""
    event = _verified(await request.body(), signature, settings.http.webhook_secrets)
    return await _route(event_router, settings, event, None)


@router.post(
    "/connect-webhook",
    operation_id="receiveConnectEvent",
    responses=problem_responses(
        Kind.SIGNATURE_INVALID, Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
    openapi_extra=_BODY,
)
async def receive_connect(
    request: Request,
    event_router: WithEventRouter,
    settings: WithSettings,
    signature: Annotated[str | None, Header(alias="Stripe-Signature")] = None,
) -> dict[str, Any]:
    """Called by Stripe for connected accounts, with snapshot events and with thin events of Accounts v2. Events may
    arrive more than once and in any order."""
    event = _verified(await request.body(), signature, settings.http.connect_webhook_secrets)
    if event.account_id is None:
        return {"received": True}
    return await _route(event_router, settings, event, event.account_id)


async def _route(
    event_router: StripeEventRouter, settings: Settings, received: _Event, account_id: str | None
) -> dict[str, Any]:
    event = StripeEvent.of(received.id, received.type, account_id, received.data)
    if not event.is_handled:
        return {"received": True}
    if received.livemode is not settings.http.is_livemode:
        # A Connect endpoint in live mode receives test events too (Stripe, "Connect webhooks").
        log.info("event %s %s was dropped: its livemode is not the key's", event.id, event.type)
        return {"received": True}
    try:
        async with translate_errors(ROUTING_TIMEOUT):
            result = await event_router.route(event)
    except WorkflowCallError as error:
        # Stripe retries for up to three days.
        raise unavailable("The event was not stored. Send it again.") from error
    if result is not RoutingResult.ROUTED:
        log.info("event %s %s was left: %s", event.id, event.type, result)
    return {"received": True}


def _verified(body: bytes, signature: str | None, secrets: tuple[str, ...]) -> _Event:
    """Raises the 400 `Problem`, which does not reveal what exactly was wrong."""
    if not any(_is_signed(body, signature, secret) for secret in secrets):
        raise Problem(Kind.SIGNATURE_INVALID, "The signature does not match the body, or is too old.")
    try:
        return _Event.model_validate_json(body)
    except ValidationError as error:
        raise Problem(Kind.SIGNATURE_INVALID, "The body is not an event.") from error


def _is_signed(body: bytes, signature: str | None, secret: str) -> bool:
    try:
        return bool(WebhookSignature.verify_header(body, signature, secret, _TOLERANCE_SECONDS))
    except (SignatureVerificationError, UnicodeDecodeError):
        return False
