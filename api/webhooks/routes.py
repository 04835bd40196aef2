"""Operator routes for outgoing webhooks: endpoints, their secrets, and what was delivered to them."""

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import tuple_
from sqlmodel import col, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http import pagination
from api.http.auth import AsOperator, Caller
from api.http.database import WithDatabase
from api.http.idempotency import OptionalKey, register
from api.http.pagination import PageParams
from api.http.problems import LOCATED, Kind, Problem, problem_responses
from api.settings import WithSettings
from api.webhooks import schemas
from api.webhooks.schemas import DeliveryStatus, NewWebhook, Replay, WebhookChange, WebhookWithSecret
from models.domain import ids
from models.domain.actors import Subject
from models.domain.webhooks import ACTION_OF, EVENT_OF, WebhookEvent, is_public, key_id, key_named, signing_secret
from models.settings import WebhookSettings
from models.tables.audit import AuditEvent, event_about
from models.tables.webhooks import WebhookDelivery, WebhookEndpoint

_AT_MOST = 20


async def _webhook_settings(settings: WithSettings) -> WebhookSettings:
    """Raises the 404 `Problem` where no key is set."""
    if not settings.webhooks.keys:
        raise Problem(Kind.WEBHOOKS_NOT_SET_UP, "Set HOLDFAST_WEBHOOK_KEY for the API and the workers.")
    return settings.webhooks


WithWebhookSettings = Annotated[WebhookSettings, Depends(_webhook_settings)]

router = APIRouter(
    prefix="/v1/webhooks",
    tags=["webhooks"],
    dependencies=[Depends(_webhook_settings)],
    responses=problem_responses(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.WEBHOOKS_NOT_SET_UP,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
_KEY_ERRORS = problem_responses(Kind.IDEMPOTENCY_KEY_REQUIRED, Kind.IDEMPOTENCY_KEY_REUSED, Kind.CONTENT_TOO_LARGE)
_OF_ONE = problem_responses(Kind.NOT_FOUND, Kind.WEBHOOKS_NOT_SET_UP)


@router.post(
    "",
    operation_id="createWebhook",
    status_code=201,
    responses=LOCATED | _KEY_ERRORS | problem_responses(Kind.TOO_MANY_WEBHOOKS),
)
async def create_webhook(
    new: NewWebhook,
    operator: AsOperator,
    response: Response,
    database: WithDatabase,
    settings: WithWebhookSettings,
    key: OptionalKey = None,
) -> WebhookWithSecret:
    """Create an endpoint. Messages are sent for what happens from now on."""
    now = datetime.now(UTC)
    _check_url(new.url, settings)
    row = WebhookEndpoint(
        id=ids.creation_id(operator.id, "webhook", key) if key else uuid4(),
        url=new.url,
        description=new.description,
        **_subscription(new.events),
        key_id=key_id(settings.keys[0]),
        secret_changed_at=now,
        created_by=operator.id,
        created_at=now,
        updated_at=now,
    )
    async with database.writing() as session:
        if not key or await register(session, row.id, new, now):
            if (await session.exec(select(func.count()).select_from(WebhookEndpoint))).one() >= _AT_MOST:
                raise Problem(Kind.TOO_MANY_WEBHOOKS, f"There can be {_AT_MOST}. Delete one first.")
            session.add(row)
            _audit(session, row.id, "webhook.created", operator, now)
        else:
            row = await _existing(session, row.id)
    response.headers["Location"] = f"{router.prefix}/{row.id}"
    return _with_secret(row, settings)


@router.get("", operation_id="listWebhooks", responses=problem_responses(Kind.CURSOR_UNKNOWN))
async def list_webhooks(operator: AsOperator, page: PageParams, database: WithDatabase) -> schemas.WebhookPage:
    """All endpoints, newest first."""
    order = (col(WebhookEndpoint.created_at), col(WebhookEndpoint.id))
    query = select(WebhookEndpoint).order_by(*(column.desc() for column in order)).limit(page.limit + 1)
    if page.after is not None:
        query = query.where(tuple_(*order) < (page.after.at, page.after.id))
    async with database.reading() as session:
        found = list(await session.exec(query))
    return schemas.WebhookPage(
        data=[_shown(row) for row in found[: page.limit]],
        next_cursor=pagination.next_cursor(found, page.limit, lambda last: (last.created_at, last.id)),
    )


@router.get("/{webhook_id}", operation_id="getWebhook", responses=_OF_ONE)
async def get_webhook(webhook_id: UUID, operator: AsOperator, database: WithDatabase) -> schemas.Webhook:
    """One endpoint."""
    async with database.reading() as session:
        return _shown(await _existing(session, webhook_id))


@router.patch("/{webhook_id}", operation_id="updateWebhook", responses=_OF_ONE)
async def update_webhook(
    webhook_id: UUID,
    change: WebhookChange,
    operator: AsOperator,
    database: WithDatabase,
    settings: WithWebhookSettings,
) -> schemas.Webhook:
    """Update the fields that are sent, or disable the endpoint."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {name: change[name] for name in ("url", "description") if name in change}
    if "url" in change:
        _check_url(change["url"], settings)
    if "events" in change:
        values |= _subscription(change["events"])
    async with database.writing() as session:
        row = await _existing(session, webhook_id, for_update=True)
        if "is_enabled" in change and change["is_enabled"] == (row.disabled_at is not None):
            disabled = not change["is_enabled"]
            values |= {"disabled_at": now, "disabled_reason": "by_request"} if disabled else _ENABLED
        row.sqlmodel_update(values | {"updated_at": now})
        _audit(session, webhook_id, "webhook.changed", operator, now, {"fields": sorted(change)})
    return _shown(row)


@router.delete("/{webhook_id}", operation_id="deleteWebhook", status_code=204, responses=_OF_ONE)
async def delete_webhook(webhook_id: UUID, operator: AsOperator, database: WithDatabase) -> None:
    """Delete an endpoint with its messages. What is being sent at this moment may still arrive."""
    now = datetime.now(UTC)
    async with database.writing() as session:
        await session.delete(await _existing(session, webhook_id, for_update=True))
        _audit(session, webhook_id, "webhook.deleted", operator, now)


@router.post("/{webhook_id}/rotate-secret", operation_id="rotateWebhookSecret", responses=_OF_ONE | _KEY_ERRORS)
async def rotate_secret(
    webhook_id: UUID,
    operator: AsOperator,
    database: WithDatabase,
    settings: WithWebhookSettings,
    key: OptionalKey = None,
) -> WebhookWithSecret:
    """Get a new signing secret. For 24 hours, messages are signed with the previous one as well."""
    now = datetime.now(UTC)
    async with database.writing() as session:
        row = await _existing(session, webhook_id, for_update=True)
        id = ids.creation_id(operator.id, f"secret of {webhook_id}", key) if key else None
        if id is None or await register(session, id, None, now):
            row.sqlmodel_update({"secret_version": row.secret_version + 1, "secret_changed_at": now, "updated_at": now})
            _audit(session, webhook_id, "webhook.secret_rotated", operator, now)
    return _with_secret(row, settings)


@router.get(
    "/{webhook_id}/messages",
    operation_id="listWebhookMessages",
    responses=_OF_ONE | problem_responses(Kind.CURSOR_UNKNOWN),
)
async def list_messages(
    webhook_id: UUID,
    operator: AsOperator,
    page: PageParams,
    database: WithDatabase,
    status: Annotated[DeliveryStatus | None, Query(description="Only messages in this state.")] = None,
) -> schemas.WebhookMessagePage:
    """An endpoint's messages of the last 30 days, newest first."""
    order = (col(WebhookDelivery.created_at), col(WebhookDelivery.id))
    query = (
        select(WebhookDelivery, AuditEvent)
        .join(AuditEvent, col(AuditEvent.id) == col(WebhookDelivery.event_id))
        .where(col(WebhookDelivery.endpoint_id) == webhook_id)
        .order_by(*(column.desc() for column in order))
        .limit(page.limit + 1)
    )
    if status is not None:
        query = query.where(*_IN_STATE[status])
    if page.after is not None:
        query = query.where(tuple_(*order) < (page.after.at, page.after.id))
    async with database.reading() as session:
        await _existing(session, webhook_id)
        found = list(await session.exec(query))
    return schemas.WebhookMessagePage(
        data=[_message(*row) for row in found[: page.limit]],
        next_cursor=pagination.next_cursor(found, page.limit, lambda last: (last[0].created_at, last[0].id)),
    )


@router.post(
    "/{webhook_id}/replay",
    operation_id="replayWebhookMessages",
    responses=_OF_ONE | problem_responses(Kind.CONTENT_TOO_LARGE),
)
async def replay(webhook_id: UUID, period: Replay, operator: AsOperator, database: WithDatabase) -> schemas.Replayed:
    """Send the messages of a period again, by default those that have not arrived, each with its `webhook-id`."""
    now = datetime.now(UTC)
    chosen = [col(WebhookDelivery.endpoint_id) == webhook_id, col(WebhookDelivery.created_at) >= period.from_]
    if period.until is not None:
        chosen.append(col(WebhookDelivery.created_at) < period.until)
    if not period.include_delivered:
        chosen.append(col(WebhookDelivery.delivered_at).is_(None))
    again = {"delivered_at": None, "gave_up_at": None, "attempts": 0, "next_attempt_at": now}
    async with database.writing() as session:
        await _existing(session, webhook_id)
        queued = (await session.exec(update(WebhookDelivery).where(*chosen).values(again))).rowcount
        _audit(session, webhook_id, "webhook.replayed", operator, now, {"messages": queued})
    return schemas.Replayed(queued=queued)


_ENABLED = {"disabled_at": None, "disabled_reason": None}
_IN_STATE = {
    DeliveryStatus.PENDING: (col(WebhookDelivery.delivered_at).is_(None), col(WebhookDelivery.gave_up_at).is_(None)),
    DeliveryStatus.DELIVERED: (col(WebhookDelivery.delivered_at).is_not(None),),
    DeliveryStatus.GIVEN_UP: (
        col(WebhookDelivery.delivered_at).is_(None),
        col(WebhookDelivery.gave_up_at).is_not(None),
    ),
}


def _check_url(url: str, settings: WebhookSettings) -> None:
    """Raises the 422 `Problem` for what can never be sent to. A name's addresses are checked with each message."""
    if settings.holdfast_webhook_allow_private:
        return
    parts = urlsplit(url)
    host = parts.hostname or ""
    why = "Must be https." if parts.scheme != "https" else ""
    try:
        why = why or ("" if is_public(str(ip_address(host))) else "Must be a public address.")
    except ValueError:
        if "." not in host.rstrip("."):
            why = why or "Must be a public name."
    if why:
        raise Problem(Kind.REQUEST_INVALID, errors=[{"where": "body/url", "why": why}])


def _subscription(events: list[WebhookEvent]) -> dict[str, Any]:
    wanted = sorted(set(events))
    return {"events": [event.value for event in wanted], "actions": [ACTION_OF[event] for event in wanted]}


async def _existing(session: AsyncSession, id: UUID, *, for_update: bool = False) -> WebhookEndpoint:
    """Raises the 404 `Problem`."""
    row = await session.get(WebhookEndpoint, id, with_for_update=for_update or None)
    if row is None:
        raise Problem(Kind.NOT_FOUND, "There is no such endpoint.")
    return row


def _audit(
    session: AsyncSession, id: UUID, action: str, by: Caller, now: datetime, detail: dict[str, Any] | None = None
) -> None:
    """Without the URL, which may contain a secret of the receiver's."""
    session.add(event_about(Subject.WEBHOOK, id, action, by.actor, by.channel, now, detail, occasion=now.isoformat()))


def _shown(row: WebhookEndpoint) -> schemas.Webhook:
    return schemas.Webhook(is_enabled=row.disabled_at is None, **_members(row))


def _with_secret(row: WebhookEndpoint, settings: WebhookSettings) -> WebhookWithSecret:
    key = key_named(settings.keys, row.key_id)
    if key is None:
        raise Problem(Kind.WEBHOOKS_NOT_SET_UP, "The key of this endpoint is no longer in HOLDFAST_WEBHOOK_KEY.")
    secret = signing_secret(key, row.id, row.secret_version)
    return WebhookWithSecret(is_enabled=row.disabled_at is None, secret=secret, **_members(row))


def _members(row: WebhookEndpoint) -> dict[str, Any]:
    return row.model_dump(include=set(schemas.Webhook.model_fields) - {"is_enabled"})


def _message(row: WebhookDelivery, event: AuditEvent) -> schemas.WebhookMessage:
    status = (
        DeliveryStatus.DELIVERED
        if row.delivered_at
        else DeliveryStatus.GIVEN_UP
        if row.gave_up_at
        else DeliveryStatus.PENDING
    )
    return schemas.WebhookMessage(
        id=row.id,
        event=EVENT_OF[event.action],
        booking_id=event.booking_id,
        status=status,
        attempts=row.attempts,
        last_status=row.last_status,
        last_error=row.last_error,
        next_attempt_at=row.next_attempt_at if status is DeliveryStatus.PENDING else None,
        created_at=row.created_at,
    )
