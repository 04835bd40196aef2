"""Saves the workflow histories of the demo's bookings. The replay tests run the current workflow on them."""

import json
from collections.abc import Mapping
from pathlib import Path

from temporalio.client import Client

# The process and machine that ran a task, and request ids: a replay does not use them.
_OMITTED = frozenset({"identity", "workerVersion", "requestId"})


async def save_histories(temporal: Client, workflow_ids: Mapping[str, str], directory: Path) -> None:
    """Write one file per journey, with the journey's name."""
    for journey, workflow_id in workflow_ids.items():
        history = await temporal.get_workflow_handle(workflow_id).fetch_history()
        _write(directory / f"{journey}.json", history.to_json())


def _write(path: Path, history: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(json.loads(history, object_hook=_without_origin), separators=(",", ":")) + "\n")


def _without_origin(node: dict[str, object]) -> dict[str, object]:
    if node.get("kind") == "TASK_QUEUE_KIND_STICKY":
        # A worker's sticky queue is named after its process and machine.
        return node | {"name": "sticky"}
    return {name: value for name, value in node.items() if name not in _OMITTED}
