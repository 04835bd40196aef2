"""The kinds of reasons for which something waits for an operator. docs/operations/runbook.md has an entry for each."""

import re
from datetime import timedelta
from enum import StrEnum

from models.domain.renewals import LATE_PAYMENT_MISSING
from models.domain.session_reports import UNDECIDED

PATIENCE = timedelta(minutes=15)
"""How long something may need an operator before one is called."""


class AttentionKind(StrEnum):
    """In the order of the runbook."""

    CAPTURE_FAILED = "capture-failed"
    RELEASE_FAILED = "release-failed"
    LOOK_UP_FAILED = "look-up-failed"
    HOLD_LOST = "hold-lost"
    LATE_PAYMENT_MISSING = "late-payment-missing"
    SESSION_UNDECIDED = "session-undecided"
    REFUND_FAILED = "refund-failed"
    REFUND_NOT_FOLLOWED = "refund-not-followed"
    REFUND_WAITS = "refund-waits"
    DISPUTE_UNANSWERED = "dispute-unanswered"
    FRAUD_WARNING = "fraud-warning"
    DRIFT = "drift"
    NO_WORKFLOW = "no-workflow"
    WORKFLOW_DIFFERS = "workflow-differs"
    WORKFLOW_FAILED = "workflow-failed"
    PAYOUT_LINES = "payout-lines"
    WRITE_FAILED = "write-failed"
    OTHER = "other"
    """A reason that no pattern knows, as of an earlier version."""


_PATTERNS: dict[AttentionKind, str] = {
    AttentionKind.CAPTURE_FAILED: r"settle_payment: ",
    AttentionKind.RELEASE_FAILED: r"release_payment: ",
    AttentionKind.LOOK_UP_FAILED: r"look_up_payment: ",
    AttentionKind.HOLD_LOST: r"the hold is gone$",
    AttentionKind.LATE_PAYMENT_MISSING: re.escape(LATE_PAYMENT_MISSING),
    AttentionKind.SESSION_UNDECIDED: re.escape(UNDECIDED),
    AttentionKind.REFUND_FAILED: r"The refund \S+ failed \(",
    AttentionKind.REFUND_NOT_FOLLOWED: r"The refund \S+ of .+ cannot be followed: ",
    AttentionKind.REFUND_WAITS: r"The refund \S+ waits for funds",
    AttentionKind.DISPUTE_UNANSWERED: r"Stripe did not take the answer to the dispute ",
    AttentionKind.FRAUD_WARNING: r"The card's bank warns of fraud",
    AttentionKind.DRIFT: r"reconciliation: \w+ is .+ in the ledger and .+ at Stripe$",
    AttentionKind.NO_WORKFLOW: r"reconciliation: no workflow carries it on",
    AttentionKind.WORKFLOW_FAILED: r"reconciliation: the workflow \S+ has failed",
    AttentionKind.WORKFLOW_DIFFERS: r"reconciliation: its ",
    AttentionKind.PAYOUT_LINES: r"The payout's lines at Stripe do not add up",
    # Any other activity. What writes to the database fails for good if the records do not allow it.
    AttentionKind.WRITE_FAILED: r"\w+( fails and is tried again)?: ",
}
_KINDS = [(kind, re.compile(pattern)) for kind, pattern in _PATTERNS.items()]


def kind_of(reason: str) -> AttentionKind:
    return next((kind for kind, pattern in _KINDS if pattern.match(reason)), AttentionKind.OTHER)
