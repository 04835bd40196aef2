"""Saves workflow histories of the demo, which the tests replay after every change of a workflow."""

import json
from collections.abc import Mapping
from pathlib import Path

from temporalio.client import Client

# The process and machine that ran a task, and request ids: a replay does not use them.
_OMITTED = frozenset({"identity", "workerVersion", "requestId"})
_OTHER_TYPES = ("Adjustment", "Dispute", "Onboarding", "OrphanSweep", "Payout", "Reconciliation", "Refund")


async def save_histories(temporal: Client, workflow_ids: Mapping[str, str], directory: Path) -> None:
    """`booking/<journey>.json` for each booking; of each other workflow type, the shortest and the longest history."""
    for journey, workflow_id in workflow_ids.items():
        history = await temporal.get_workflow_handle(workflow_id).fetch_history()
        _write(directory / "booking" / f"{journey}.json", history.to_json())
    for workflow_type in _OTHER_TYPES:
        query = f"WorkflowType = '{workflow_type}' AND ExecutionStatus = 'Completed'"
        found = [execution async for execution in temporal.list_workflows(query)]
        found.sort(key=lambda execution: (execution.history_length, execution.id))
        for name, execution in (("shortest", found[0]), ("longest", found[-1])):
            history = await temporal.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history()
            _write(directory / workflow_type.lower() / f"{name}.json", history.to_json())


def _write(path: Path, history: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(json.loads(history, object_hook=_without_origin), separators=(",", ":")) + "\n")


def _without_origin(node: dict[str, object]) -> dict[str, object]:
    if node.get("kind") == "TASK_QUEUE_KIND_STICKY":
        # A worker's sticky queue is named after its process and machine.
        return node | {"name": "sticky"}
    return {name: value for name, value in node.items() if name not in _OMITTED}
