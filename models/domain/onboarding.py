"""What is said to, by and inside an instructor's onboarding workflow: nothing personal, for it enters a history."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from models.domain.actors import Capability
from models.domain.base import Value

OPEN_LINK = "open_link"
"""The update that asks for a link."""


class OnboardingRefusal(StrEnum):
    """The types of the errors that a caller of the update gets."""

    REFUSED = "onboarding_refused"
    NO_ANSWER = "onboarding_no_answer"
    """Stripe did not answer in time; asking again is safe."""


class Onboarding(Value):
    instructor_id: UUID


class AccountEvent(Value):
    """Stripe's news about an account. Only a reason to look: what is true is asked of Stripe."""

    event_id: str
    type: str


class OnboardingLink(Value):
    """Where the instructor tells Stripe what it asks, good for one visit and a few minutes. It enters no history."""

    url: str
    expires_at: datetime


class LinkOrder(Value):
    account_id: str
    key: str
    """The idempotency key: every link that is asked for is a new one."""


class RecordAccount(Value):
    instructor_id: UUID
    account_id: str


class AccountState(Value):
    """An account as Stripe has it, read at one moment."""

    account_id: str
    transfers: Capability
    requirements: tuple[str, ...] = ()
    disabled_reason: str | None = None


class RecordAccountState(Value):
    instructor_id: UUID
    state: AccountState
    at: datetime
