"""All workflow types. The worker runs them, and `replay` and `restore` replay their histories."""

from workflows.adjustments import AdjustmentWorkflow
from workflows.attention import AttentionWorkflow
from workflows.booking.workflow import BookingWorkflow
from workflows.disputes import DisputeWorkflow
from workflows.onboarding import OnboardingWorkflow
from workflows.orphans import OrphanSweepWorkflow
from workflows.payouts import PayoutWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.refunds import RefundWorkflow

WORKFLOWS: tuple[type, ...] = (
    BookingWorkflow,
    OnboardingWorkflow,
    DisputeWorkflow,
    PayoutWorkflow,
    RefundWorkflow,
    ReconciliationWorkflow,
    OrphanSweepWorkflow,
    AdjustmentWorkflow,
    AttentionWorkflow,
)
