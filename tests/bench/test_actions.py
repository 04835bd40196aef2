"""Counting a workflow's events and billable actions."""

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    ActivityTaskStartedEventAttributes,
    HistoryEvent,
    MarkerRecordedEventAttributes,
)
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.actions import HistoryCost, billable_actions, history_cost
from bench.baseline_process import BaselineWorker


def event(kind: str) -> HistoryEvent:
    return HistoryEvent(event_type=EventType.Value(f"EVENT_TYPE_{kind}"))


def started(attempt: int) -> HistoryEvent:
    attributes = ActivityTaskStartedEventAttributes(attempt=attempt)
    return HistoryEvent(
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED, activity_task_started_event_attributes=attributes
    )


def marker(task: int, name: str = "core_local_activity") -> HistoryEvent:
    attributes = MarkerRecordedEventAttributes(marker_name=name, workflow_task_completed_event_id=task)
    return HistoryEvent(event_type=EventType.EVENT_TYPE_MARKER_RECORDED, marker_recorded_event_attributes=attributes)


@pytest.mark.parametrize(
    "kind",
    [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        "ACTIVITY_TASK_SCHEDULED",
        "TIMER_STARTED",
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
    ],
)
def test_event_is_billable(kind: str) -> None:
    assert billable_actions([event(kind), event(kind)]) == 2


@pytest.mark.parametrize(
    "kind",
    [
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_TASK_TIMED_OUT",
        "ACTIVITY_TASK_COMPLETED",
        "TIMER_FIRED",
        "TIMER_CANCELED",
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
        "WORKFLOW_EXECUTION_COMPLETED",
    ],
)
def test_event_is_free(kind: str) -> None:
    assert billable_actions([event(kind)]) == 0


def test_activity_retries_are_billable() -> None:
    assert billable_actions([event("ACTIVITY_TASK_SCHEDULED"), started(attempt=1)]) == 1
    assert billable_actions([event("ACTIVITY_TASK_SCHEDULED"), started(attempt=4)]) == 4


def test_local_activities_of_a_workflow_task_are_one_action() -> None:
    assert billable_actions([marker(task=4), marker(task=4), marker(task=9)]) == 2


def test_other_markers_are_free() -> None:
    assert billable_actions([marker(task=4, name="core_patch")]) == 0


@pytest.fixture
async def client(temporal_address: str) -> Client:
    return await Client.connect(temporal_address, data_converter=pydantic_data_converter)


async def test_bare_workflow_has_the_documented_cost(client: Client, temporal_address: str) -> None:
    async with BaselineWorker(client, temporal_address) as baseline:
        workflow_id = await baseline.run_workflow(0)
    assert await history_cost(client.get_workflow_handle(workflow_id)) == HistoryCost(events=41, actions=9)
