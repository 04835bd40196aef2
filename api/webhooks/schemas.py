"""JSON of webhook endpoints and their deliveries."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from api.http.schema_types import RequestModel, RequestTime, ResponseModel
from models.domain.webhooks import WebhookEvent


def _is_plain(url: str) -> str:
    """What can be said without a look at the DNS. The address itself is checked when a message is sent."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable():
        raise ValueError("must be an https URL")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("must have neither a user name nor a fragment")
    parts.port  # noqa: B018 - raises ValueError for a port that is none
    return url


Url = Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[^\s]+$"), AfterValidator(_is_plain)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00]*$")]
Events = Annotated[list[WebhookEvent], Field(min_length=1, max_length=len(WebhookEvent))]


class NewWebhook(RequestModel):
    url: Url
    """Where messages are posted. `https`, and a public address."""
    events: Events = Field(default=list(WebhookEvent))
    """The events to send; all of today's if omitted."""
    description: Description = ""
    """What the endpoint is for."""


@with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True))
class WebhookChange(TypedDict, total=False):
    """Fields that are not sent stay unchanged."""

    url: Url
    """Where messages are posted."""
    events: Events
    """The events to send from now on."""
    description: Description
    """What the endpoint is for."""
    is_enabled: Annotated[bool, Field(strict=True)]
    """`false` stops new messages, and gives up the waiting ones. `true` starts again with what happens from then on."""


class Webhook(ResponseModel):
    id: UUID
    """The endpoint's id."""
    url: str
    """Where messages are posted."""
    events: list[WebhookEvent]
    """The events that are sent."""
    description: str
    """What the endpoint is for."""
    is_enabled: bool
    """Whether messages are sent."""
    disabled_reason: str | None
    """`by_request`, or `gone` after the endpoint answered with 410."""
    created_at: datetime
    """When it was created."""
    updated_at: datetime
    """When it last changed."""


class WebhookWithSecret(Webhook):
    secret: str
    """Verify messages with it. It is not shown again."""


class WebhookPage(ResponseModel):
    data: list[Webhook]
    """Newest first."""
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""


class DeliveryStatus(StrEnum):
    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    GIVEN_UP = "GIVEN_UP"


class WebhookMessage(ResponseModel):
    id: UUID
    """The message's `webhook-id`."""
    event: WebhookEvent
    """What it reports."""
    booking_id: UUID | None
    """The booking; `null` for a payout."""
    status: DeliveryStatus
    """Whether it arrived."""
    attempts: int
    """How often it was sent."""
    last_status: int | None
    """The HTTP status of the last answer; `null` if there was none."""
    last_error: str | None
    """Why the last attempt failed: `status`, `redirect`, `timeout`, `connection_failed`, `name_not_resolved`,
    `address_not_public`, `gone` or `endpoint_disabled`."""
    next_attempt_at: datetime | None
    """When it is sent next; `null` unless it is pending."""
    created_at: datetime
    """When the event happened."""


class WebhookMessagePage(ResponseModel):
    data: list[WebhookMessage]
    """Newest first."""
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""


class Replay(RequestModel):
    from_: Annotated[RequestTime, Field(alias="from")]
    """Messages of events at or after this time. They are kept for 30 days."""
    until: RequestTime | None = None
    """Messages of events before this time; of all since if omitted."""
    include_delivered: Annotated[bool, Field(strict=True)] = False
    """Send messages again that arrived, too. A receiver recognizes them by their `webhook-id`."""


class Replayed(ResponseModel):
    queued: int
    """How many messages are sent again."""
