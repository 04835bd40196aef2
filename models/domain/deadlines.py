"""What happens at a booking's next deadline if nobody acts before it."""

from enum import StrEnum

from models.domain.policy import CompletionTimeoutPolicy


class DeadlineOutcome(StrEnum):
    """Stable: API clients branch on it."""

    BOOKING_DELETED = "booking_deleted"
    """It was not paid."""
    BOOKING_EXPIRED = "booking_expired"
    """The instructor did not decide. Everything is returned to the student."""
    RELEASED = "released"
    """Nobody reported on the session, or no operator decided. Everything is returned to the student."""
    CAPTURED = "captured"
    """The same, where the platform settles in that case. Not for an instructor who never came."""
    COMPLETED_UNLESS_CONTRADICTED = "completed_unless_contradicted"
    """The payment is settled, unless the meeting's record contradicts the reported completion."""
    NO_SHOW_UNLESS_CONTRADICTED = "no_show_unless_contradicted"
    """The no-show counts as reported, unless the meeting's record contradicts it."""
    RECORD_JUDGED = "record_judged"
    """The meeting's record decides, or an operator if it is not clear."""
    CANCELLED_UNPAID = "cancelled_unpaid"
    """The student did not pay again. The booking is cancelled, and nothing is charged."""
    OPERATOR_DECIDES = "operator_decides"
    """The same, of what is due at the booking's end."""


def outcome_of_silence(
    is_paid: bool,
    is_accepted: bool,
    has_report: bool,
    is_completion: bool,
    is_judged_next: bool,
    on_timeout: CompletionTimeoutPolicy,
) -> DeadlineOutcome:
    """Of an open booking. `has_report`: one side reported on the session, and no operator has to decide about it."""
    if not is_accepted:
        return DeadlineOutcome.BOOKING_EXPIRED if is_paid else DeadlineOutcome.BOOKING_DELETED
    if not has_report:
        settles = on_timeout is CompletionTimeoutPolicy.SETTLE
        return DeadlineOutcome.CAPTURED if settles else DeadlineOutcome.RELEASED
    if is_judged_next:
        return DeadlineOutcome.RECORD_JUDGED
    if is_completion:
        return DeadlineOutcome.COMPLETED_UNLESS_CONTRADICTED
    return DeadlineOutcome.NO_SHOW_UNLESS_CONTRADICTED
