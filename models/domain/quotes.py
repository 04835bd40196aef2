"""What cancelling a booking would refund, and until when that holds."""

from datetime import datetime

from models.domain.actors import Role
from models.domain.base import Value
from models.domain.endings import kept_on_cancellation
from models.domain.money import Money
from models.domain.policy import BookingPolicy, CancellationTier, Split, split


class CancellationQuote(Value):
    refund: Money
    """What is returned to the student; nothing if the booking has not been paid."""
    split: Split
    """What is kept, and for whom."""
    tier: CancellationTier | None
    """The tier that applies. `None` if everything is returned regardless of the time, or nothing any more."""
    tier_ends_at: datetime | None
    """The last moment at which the quote holds. `None` if the refund does not depend on tiers."""


def cancellation_quote(
    price: Money, policy: BookingPolicy, starts_at: datetime, by: Role, at: datetime, accepted: bool, held: bool
) -> CancellationQuote:
    """What a cancellation at `at` would do, computed as in `endings.cancelled`.

    `held`: the student's money is held, so there is something to return.
    """
    kept = kept_on_cancellation(price, policy, starts_at, by, at, accepted)
    tiers_apply = by is Role.STUDENT and accepted
    tier = policy.cancellation.tier(starts_at - at) if tiers_apply else None
    # After the last tier, nothing changes until the session starts.
    tier_ends_at = starts_at - tier.before if tier else starts_at
    return CancellationQuote(
        refund=price - kept if held else price.zero(),
        split=split(kept, policy),
        tier=tier,
        tier_ends_at=tier_ends_at if tiers_apply else None,
    )
