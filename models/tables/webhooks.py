"""Outgoing webhooks: the endpoints, and what is to be delivered to each."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, Column, Index, String, text
from sqlmodel import Field, SQLModel


class WebhookEndpoint(SQLModel, table=True):
    """Where messages are sent. The signing secret is not stored, but derived from a key, the id and the version."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (Index("ix_webhook_endpoint_created", "created_at", "id"),)

    id: UUID = Field(primary_key=True)
    url: str
    description: str = ""
    events: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    actions: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    """The audit trail's actions of these events, which a trigger compares."""
    key_id: str
    secret_version: int = 1
    secret_changed_at: datetime
    created_by: UUID
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None = None
    disabled_reason: str | None = None


class WebhookDelivery(SQLModel, table=True):
    """A message to one endpoint, inserted by a trigger in the transaction of the audit event that it reports.

    Open until it is delivered or given up. Its body is made from the audit event, which never changes.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index(
            "ix_webhook_delivery_open",
            "next_attempt_at",
            postgresql_where=text("delivered_at IS NULL AND gave_up_at IS NULL"),
        ),
        Index("ix_webhook_delivery_endpoint", "endpoint_id", "created_at", "id"),
        Index(
            "ix_webhook_delivery_undelivered",
            *("endpoint_id", "created_at", "id"),
            postgresql_where=text("delivered_at IS NULL"),
        ),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    """The message's `webhook-id`: the same for every attempt, also when it is replayed."""
    endpoint_id: UUID = Field(foreign_key="webhook_endpoint.id", ondelete="CASCADE")
    event_id: UUID
    """The audit event. No foreign key: the table is append-only."""
    attempts: int = 0
    next_attempt_at: datetime
    """While a worker is sending the message: when another one may take over."""
    delivered_at: datetime | None = None
    gave_up_at: datetime | None = None
    last_status: int | None = None
    last_error: str | None = None
    """A code, never what the receiver answered."""
    created_at: datetime
