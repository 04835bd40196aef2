"""The cost limits of a completed booking. `docs/cost.md` has the reasons."""

from typing import Final

MAX_EVENTS: Final = 60
MAX_ACTIONS: Final = 20
MAX_STRIPE_MUTATIONS: Final = 4
MAX_GREEDY_RATIO: Final = 2.0
"""The p99 of a step beside greedy clients, in relation to the quiet one."""
MAX_WAITING_RATIO: Final = 1.5
"""What many waiting bookings may cost, in memory and in CPU to wake one, in relation to few."""
MAX_RECOVERY_SECONDS: Final = 2.0
"""Median seconds from the new worker's readiness until a waiting booking continues."""
MAX_PAGE_RATIO: Final = 1.5
"""The p99 of a page's server time under load, in relation to that of the API calls with the same content."""
