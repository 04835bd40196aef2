"""The messages of the onboarding workflow. They enter a history: nothing personal."""

from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from models.domain.actors import Capability
from models.domain.base import Value

ACCOUNT_GONE = "account_gone"
OPEN_LINK = "open_link"
"""The update that requests a link."""


class OnboardingRefusal(StrEnum):
    """The error types that a caller of the update receives."""

    REFUSED = "onboarding_refused"
    NO_ANSWER = "onboarding_no_answer"
    """Stripe did not answer in time; retrying is safe."""


class Onboarding(Value):
    instructor_id: UUID


class AccountEvent(Value):
    """A Stripe event about an account. Only a reason to look: the current state is read from Stripe."""

    event_id: str
    type: str


class OnboardingLink(Value):
    """Stripe's onboarding page for the instructor. Valid for one visit and a few minutes; it enters no history."""

    url: str
    expires_at: datetime


class LinkOrder(Value):
    account_id: str
    key: str
    """The idempotency key. Each requested link is a new one."""


class RecordAccount(Value):
    instructor_id: UUID
    account_id: str


class AccountState(Value):
    """An account as read from Stripe at one moment."""

    account_id: str
    transfers: Capability
    requirements: tuple[str, ...] = ()
    disabled_reason: str | None = None

    @classmethod
    def gone(cls, account_id: str) -> Self:
        """Deleted, or no longer connected to this platform: it never comes back."""
        return cls(account_id=account_id, transfers=Capability.INACTIVE, disabled_reason=ACCOUNT_GONE)

    @property
    def is_gone(self) -> bool:
        return self.disabled_reason == ACCOUNT_GONE

    @property
    def obstacle(self) -> str | None:
        """Why the account cannot be paid; `None` if it can."""
        if self.transfers is Capability.ACTIVE:
            return None
        return self.disabled_reason or f"transfers_{self.transfers}"


class RecordAccountState(Value):
    instructor_id: UUID
    state: AccountState
    at: datetime
