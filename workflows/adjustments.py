"""An adjustment: what differs between the ledger and Stripe is read, then previewed or posted, once."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.adjustments import AdjustmentActivities
    from activities.reconciliation.comparison import ComparisonActivities
    from models.domain.adjustments import AdjustmentOrder, AdjustmentView, RecordAdjustment
    from workflows.activity_calls import call_stripe, persist, reason_of

_READ_BUDGET = timedelta(minutes=2)
"""An operator waits for it."""


@workflow.defn(name="Adjustment")
class AdjustmentWorkflow:
    @workflow.run
    async def run(self, order: AdjustmentOrder) -> AdjustmentView:
        until = workflow.now() + _READ_BUDGET
        try:
            if order.instructor_id:
                differences = await call_stripe(ComparisonActivities.compare_balance, order.instructor_id, until)
            else:
                assert order.booking_id
                differences = await call_stripe(ComparisonActivities.compare_booking, order.booking_id, until)
        except ActivityError as failure:
            return AdjustmentView(refusal=f"Stripe could not be read: {reason_of(failure)}.")
        record = RecordAdjustment(order=order, differences=tuple(differences), at=workflow.now())
        return await persist(AdjustmentActivities.record_adjustment, record)
