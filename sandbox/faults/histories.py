"""Random histories: bookings with drawn journeys, and whatever else can happen to them. One seed draws all of it.

Pure: the same seed always gives the same turns. What is not drawn is how long each program takes.
"""

import random
from typing import Final, NamedTuple

BOOKINGS: Final = 16
"""In one round, on one stack."""
_BEGIN_WITHIN: Final = 8.0
_LONGEST_PAUSE: Final = 4.0
_LENGTH: Final = 40.0

JOURNEYS: Final[tuple[tuple[str, ...], ...]] = (
    ("book", "pay", "approve", "confirm"),
    ("book", "pay", "approve", "confirm", "refund"),
    ("book", "pay", "approve", "confirm", "dispute"),
    ("book", "pay", "approve", "complete"),
    ("book", "pay", "approve", "complete", "object"),
    ("book", "pay", "approve", "report_student_absent"),
    ("book", "pay", "approve", "report_instructor_absent", "contest"),
    ("book", "pay", "approve", "propose", "accept_move", "confirm"),
    ("book", "pay", "approve", "cancel"),
    ("book", "pay", "approve", "cancel_by_instructor"),
    ("book", "pay", "reject"),
    ("book", "pay"),
    ("book", "decline"),
    ("book",),
)
MEDDLING: Final = (
    *("repeat", "repeat", "cancel", "cancel_by_instructor", "confirm", "approve", "reject", "propose"),
    *("operator_release", "operator_settle", "operator_refund", "operator_retry"),
    *("reset", "reset", "terminate", "cancel_workflow"),
    *("cancel_hold_in_dashboard", "capture_in_dashboard", "refund_in_dashboard"),
)
"""What happens to a booking besides its journey: others decide, or somebody clicks in Temporal's UI or at Stripe."""
TROUBLES: Final = (
    *("kill_worker", "kill_worker", "kill_api", "kill_postgres", "kill_temporal", "kill_stripe", "kill_mailbox"),
    *("slow_worker", "slow_api", "slow_postgres", "slow_temporal", "slow_stripe"),
    *("lose_events", "double_events", "shuffle_events"),
    *("stripe_errors", "stripe_drops", "stripe_refuses", "stripe_stalls"),
    "advance_clock",
)
"""What happens to the stack."""


class Turn(NamedTuple):
    """Something that happens `at` so many seconds after the round's begin."""

    at: float
    booking: int | None
    """`None`: it happens to the stack."""
    act: str
    number: int
    """Any detail that is drawn: the act takes from it what it needs."""

    def __str__(self) -> str:
        where = "the stack" if self.booking is None else f"booking {self.booking}"
        return f"{self.at:5.1f} s  {where}: {self.act} ({self.number})"


def draw(seed: int, bookings: int = BOOKINGS) -> list[Turn]:
    """The turns of one round, in order."""
    drawn = random.Random(seed)  # noqa: S311

    def turn(at: float, booking: int | None, act: str) -> Turn:
        return Turn(round(at, 2), booking, act, drawn.randrange(1_000))

    turns = []
    for booking in range(bookings):
        at = drawn.uniform(0, _BEGIN_WITHIN)
        for act in drawn.choice(JOURNEYS):
            turns.append(turn(at, booking, act))
            at += drawn.uniform(0.1, _LONGEST_PAUSE)
        for _ in range(drawn.choice((0, 0, 1, 1, 2))):
            turns.append(turn(drawn.uniform(1, _LENGTH), booking, drawn.choice(MEDDLING)))
    for _ in range(drawn.randrange(2, 7)):
        turns.append(turn(drawn.uniform(1, _LENGTH - 10), None, drawn.choice(TROUBLES)))
    return sorted(turns, key=lambda turn: turn.at)
