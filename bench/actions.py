"""Counts a workflow's events and billable actions from its history."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHandle

_ONE_ACTION_EACH: Final = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        EventType.EVENT_TYPE_TIMER_STARTED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    }
)

_LOCAL_ACTIVITY: Final = "core_local_activity"
"""The SDK's name for the marker that records a local activity's result."""


@dataclass(frozen=True)
class HistoryCost:
    events: int
    actions: int


async def history_cost(handle: WorkflowHandle[Any, Any]) -> HistoryCost:
    events = (await handle.fetch_history()).events
    return HistoryCost(events=len(events), actions=billable_actions(events))


def billable_actions(events: Iterable[HistoryEvent]) -> int:
    """The number of actions that Temporal Cloud would bill for this history ("Temporal Cloud Actions", as of 2026).

    One action each: the start, a signal, an accepted update (update-with-start is two), a timer, an upsert of any
    number of search attributes, an activity and each of its retries. All local activities of one workflow task count
    as one action. Workflow tasks, results, cancelled timers and the search attributes of the start are free.

    Queries, rejected updates and heartbeats leave no event and are not counted. Bookings are not queried, and their
    activities do not heartbeat.
    """
    actions = 0
    tasks_with_local_activities: set[int] = set()
    for event in events:
        if event.event_type in _ONE_ACTION_EACH:
            actions += 1
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            actions += event.activity_task_started_event_attributes.attempt - 1
        elif event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
            marker = event.marker_recorded_event_attributes
            if marker.marker_name == _LOCAL_ACTIVITY:
                tasks_with_local_activities.add(marker.workflow_task_completed_event_id)
    return actions + len(tasks_with_local_activities)
