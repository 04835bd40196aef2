"""What a completed booking may cost at most. The reasons are in `docs/cost.md`."""

from typing import Final

MOST_EVENTS: Final = 60
MOST_ACTIONS: Final = 20
MOST_STRIPE_MUTATIONS: Final = 4
MOST_RECOVERY_SECONDS: Final = 2.0
"""The median over the bookings that waited while their worker was killed, from the new one's readiness on."""
