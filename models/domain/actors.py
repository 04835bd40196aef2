"""Who acts in a booking, in which role, and on what."""

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
    """With its slots."""
    INSTRUCTOR = "instructor"
    """Their way to being paid."""
    RECONCILIATION = "reconciliation"


class SignUpRole(StrEnum):
    """The roles that a person may take by themselves."""

    STUDENT = "student"
    INSTRUCTOR = "instructor"


class Capability(StrEnum):
    """How Stripe says whether an account may receive transfers."""

    ACTIVE = "active"
    PENDING = "pending"
    INACTIVE = "inactive"


class Actor(Value):
    role: Role
    id: UUID | None = None


PLATFORM = Actor(role=Role.PLATFORM)


class AbsentParty(StrEnum):
    STUDENT = "student"
    INSTRUCTOR = "instructor"
