"""What an operator decides about a refund or a dispute is written after the update is in the history."""

import pytest
from temporalio import activity

from tests.workflows.saga import Saga, both_plans
from tests.workflows.stories import Play, disputes, refunds

pytestmark = both_plans


@pytest.mark.parametrize(
    ("play", "update", "written"),
    [
        (refunds.refund_failed_twice, "try_again", "record_refund_retry"),
        (disputes.dispute_won, "decide", "record_dispute_decision"),
    ],
)
async def test_an_update_is_in_the_history_before_its_effect_is_written(
    saga: Saga, play: Play, update: str, written: str
) -> None:
    seen: list[list[str]] = []

    async def look() -> None:
        id = activity.info().workflow_id
        assert id is not None
        history = await saga.env.client.get_workflow_handle(id).fetch_history()
        accepted = [event.workflow_execution_update_accepted_event_attributes for event in history.events]
        seen.append([each.accepted_request.input.name for each in accepted])

    saga.faults.plan("before", written, look)
    await play(saga)
    [updates] = seen
    assert update in updates
