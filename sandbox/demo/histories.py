"""Saves the workflow histories of the demo's bookings, for the tests to replay after every change of the saga."""

import json
from collections.abc import Mapping
from pathlib import Path

from temporalio.client import Client

# Which process on which machine ran a task, and ids of requests: no matter to a replay.
_LEFT_OUT = frozenset({"identity", "workerVersion", "requestId"})


async def save_histories(temporal: Client, workflow_ids: Mapping[str, str], directory: Path) -> None:
    """One file a journey, named by it."""
    for journey, workflow_id in workflow_ids.items():
        history = await temporal.get_workflow_handle(workflow_id).fetch_history()
        _write(directory / f"{journey}.json", history.to_json())


def _write(path: Path, history: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(json.loads(history, object_hook=_without_origin), separators=(",", ":")) + "\n")


def _without_origin(node: dict[str, object]) -> dict[str, object]:
    if node.get("kind") == "TASK_QUEUE_KIND_STICKY":
        # A worker's own queue is named after its process and machine.
        return node | {"name": "sticky"}
    return {name: value for name, value in node.items() if name not in _LEFT_OUT}
