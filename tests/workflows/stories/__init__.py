"""Stories of refunds, disputes, payouts and accounts, and where the money is at their ends."""

from collections.abc import Awaitable, Callable
from typing import Any

from models.domain.actors import Capability
from models.domain.states import PaymentStatus, RefundStatus
from tests.workflows.resets import Story
from tests.workflows.saga import Saga
from tests.workflows.stories import disputes, onboarding, payouts, refunds

Play = Callable[[Saga], Awaitable[Story]]

_REFUNDED = (PaymentStatus.PARTIALLY_REFUNDED, 7_000, 3_000, 1_400)
_CAPTURED, _LOST = (PaymentStatus.CAPTURED, 10_000, 0, 2_000), (PaymentStatus.REFUNDED, 0, 10_000, 0)
# On the platform's balance, the instructor's, and owed to the student, at the end of each tuple.
OUTCOMES: dict[Play, Any] = {
    refunds.refunded: (RefundStatus.SUCCEEDED, 1, _REFUNDED, (1_080, 5_600, 0)),
    refunds.refund_arrived_later: (RefundStatus.SUCCEEDED, 1, _REFUNDED, (1_080, 5_600, 0)),
    refunds.refunded_in_the_dashboard: (RefundStatus.SUCCEEDED, 1, _REFUNDED, (1_080, 5_600, 0)),
    refunds.refund_refused: (RefundStatus.REFUSED, 1, _CAPTURED, (1_680, 8_000, 0)),
    refunds.refund_failed_twice: (RefundStatus.FAILED, 2, _REFUNDED, (4_080, 5_600, -3_000)),
    disputes.dispute_won: ("won", 2, _CAPTURED, (180, 8_000, 0)),
    disputes.dispute_accepted: ("lost", 0, _LOST, (-1_820, 0, 0)),
    disputes.dispute_lost: ("lost", 1, _LOST, (-1_820, 0, 0)),
    disputes.dispute_answer_refused: ("lost", 1, _LOST, (-1_820, 0, 0)),
    payouts.payout_arrived: (1_680, 0, 0),
    onboarding.account_created: (True, Capability.INACTIVE, 4, True),
}
