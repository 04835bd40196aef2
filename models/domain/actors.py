"""Who acts, in which role, and on what."""

from enum import StrEnum
from uuid import UUID

from models.domain.base import Value


class Role(StrEnum):
    STUDENT = "student"
    INSTRUCTOR = "instructor"
    OPERATOR = "operator"
    PLATFORM = "platform"
    """Holdfast itself: a deadline passed, or the workflow was cancelled in Temporal."""


class Subject(StrEnum):
    """What an audit event is about."""

    BOOKING = "booking"
    PERSON = "person"
    OFFERING = "offering"
    """Including its slots."""
    INSTRUCTOR = "instructor"
    """Their Stripe account and onboarding."""
    RECONCILIATION = "reconciliation"
    OPERATOR = "operator"
    WEBHOOK = "webhook"
    """An endpoint of outgoing webhooks."""


class SignUpRole(StrEnum):
    """The roles that a person can sign up for."""

    STUDENT = "student"
    INSTRUCTOR = "instructor"


class Capability(StrEnum):
    """Whether an account can receive transfers, as Stripe reports it."""

    ACTIVE = "active"
    PENDING = "pending"
    INACTIVE = "inactive"


class Actor(Value):
    role: Role
    id: UUID | None = None
    token_id: UUID | None = None
    """The service token with which a program acted for the person."""


PLATFORM = Actor(role=Role.PLATFORM)


class AbsentParty(StrEnum):
    STUDENT = "student"
    INSTRUCTOR = "instructor"
