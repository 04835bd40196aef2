"""What calling a booking off would return, and until when that holds."""

from datetime import datetime

from models.domain.actors import Role
from models.domain.base import Value
from models.domain.endings import kept_on_cancellation
from models.domain.money import Money
from models.domain.policy import BookingPolicy, CancellationTier, Split, split


class CancellationQuote(Value):
    refund: Money
    """What goes back to the student: nothing from a booking that nobody has paid for."""
    split: Split
    """What is kept, and whose it is."""
    tier: CancellationTier | None
    """The tier that decides; `None` when all of it goes back whatever the time, or none of it any more."""
    tier_ends_at: datetime | None
    """The last moment of the tier; `None` when no tier decides."""


def cancellation_quote(
    price: Money, policy: BookingPolicy, starts_at: datetime, by: Role, at: datetime, accepted: bool, held: bool
) -> CancellationQuote:
    """What a cancellation at `at` would do, as `terms.cancelled` would decide it then.

    `held`: the student's money is held, so that there is something to give back.
    """
    kept = kept_on_cancellation(price, policy, starts_at, by, at, accepted)
    by_tiers = by is Role.STUDENT and accepted
    tier = policy.cancellation.tier(starts_at - at) if by_tiers else None
    # Past the last tier, nothing changes any more until the session begins.
    tier_ends_at = starts_at - tier.before if tier else starts_at
    return CancellationQuote(
        refund=price - kept if held else price.zero(),
        split=split(kept, policy),
        tier=tier,
        tier_ends_at=tier_ends_at if by_tiers else None,
    )
