"""Workflows under way survive a change of the code: saved histories of all nine workflow types are replayed.

The histories come from `./run demo --histories tests/workflows/histories`. Those of `Attention` are of the bookings in
`tests/api/live/reconciliation/test_attention.py`. Save them again only for a change made before the first release; from
then on, a change that fails here must be patched (`workflow.patched`).
"""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from sandbox.demo import programme
from worker import SANDBOX, WORKFLOWS
from workflows.client.interceptors import LoggingInterceptor

_HISTORIES = Path(__file__).parent / "histories"
_SAVED = sorted(_HISTORIES.glob("*/*.json"))
# Refused. The first student's booking of the taken slot goes like `completed`.
_WITHOUT_BOOKING = {"beyond_limit_refused", "slot_taken"}
_STARTED = "workflowExecutionStartedEventAttributes"

Json = dict[str, Any]
every_history = pytest.mark.parametrize("path", _SAVED, ids=lambda path: f"{path.parent.name}-{path.stem}")


def _read(path: Path) -> Json:
    history: Json = json.loads(path.read_text())
    return history


async def _replay(history: Json) -> None:
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=SANDBOX,
        data_converter=pydantic_data_converter,
        interceptors=[TracingInterceptor(), LoggingInterceptor()],
    )
    await replayer.replay_workflow(WorkflowHistory.from_json("replayed", history))


def test_every_journey_and_every_workflow_type_has_a_saved_history() -> None:
    played = {play.__name__ for play in programme.ALL}
    assert {path.stem for path in _SAVED if path.parent.name == "booking"} == played - _WITHOUT_BOOKING
    types = {_read(path)["events"][0][_STARTED]["workflowType"]["name"] for path in _SAVED}
    assert types == {
        "Adjustment", "Attention", "Booking", "Dispute", "Onboarding", "OrphanSweep", "Payout", "Reconciliation",
        "Refund",
    }  # fmt: skip
    assert len(types) == len(WORKFLOWS)


@every_history
async def test_a_saved_history_replays(path: Path) -> None:
    await _replay(_read(path))


@every_history
async def test_a_saved_history_replays_with_a_field_more_in_each_message(path: Path) -> None:
    """As after a rollback: the older worker reads what a newer one wrote."""
    added = 0

    def with_one_field_more(message: Any) -> Any:
        nonlocal added
        if isinstance(message, list):
            return [with_one_field_more(item) for item in message]
        if isinstance(message, dict):
            added += 1
            return {name: with_one_field_more(value) for name, value in message.items()} | {"of_a_newer_version": 1}
        return message

    history = _with_messages(_read(path), with_one_field_more)
    assert added
    await _replay(history)


async def test_a_history_that_the_saga_did_not_make_fails_to_replay() -> None:
    history = _read(_HISTORIES / "booking" / "completed.json")
    renamed = 0
    for event in history["events"]:
        name = event.get("activityTaskScheduledEventAttributes", {}).get("activityType", {})
        if name.get("name") == "settle_payment":
            name["name"], renamed = "transfer", renamed + 1
    assert renamed == 1
    with pytest.raises(workflow.NondeterminismError):
        await _replay(history)


@pytest.mark.parametrize("path", [path for path in _SAVED if path.parent.name == "booking"], ids=lambda path: path.stem)
def test_no_write_runs_in_the_workflow_task_that_accepts_an_update(path: Path) -> None:
    """Its local activities are committed before the update is in the history."""
    task, accepted, written = "", dict[str, list[str]](), list[tuple[str, str]]()
    for event in _read(path)["events"]:
        if event["eventType"] == "EVENT_TYPE_WORKFLOW_TASK_COMPLETED":
            task = event["eventId"]
        elif update := event.get("workflowExecutionUpdateAcceptedEventAttributes"):
            # One that was played again after a reset has no request here.
            accepted.setdefault(task, []).append(update.get("acceptedRequest", {}).get("input", {}).get("name", ""))
        elif (marker := event.get("markerRecordedEventAttributes")) and marker["markerName"] != "core_patch":
            payload = marker["details"]["data"]["payloads"][0]["data"]
            written.append((task, json.loads(base64.b64decode(payload))["activity_type"]))
    assert accepted
    # The reservation follows from the start, and a reset workflow only reads.
    assert {name for at, name in written if at in accepted} <= {"reserve_slot", "load_recorded_booking"}


@every_history
def test_nothing_personal_is_in_a_saved_history(path: Path) -> None:
    """The demo's people have these in their names, addresses, words and cards."""
    payloads = re.findall(r'"data":"([^"]+)"', path.read_text())
    assert payloads
    text = " ".join(base64.b64decode(payload).decode() for payload in payloads)
    assert "_id" in text or "since" in text
    for word in ("@", "Sam", "Student", "Ines", "travelling", "424242"):
        assert word not in text


@every_history
def test_no_url_is_in_a_saved_history(path: Path) -> None:
    """Whoever has the URL of a Checkout or an onboarding page can act on it. A booking's own page asks who it is."""
    payloads = re.findall(r'"data":"([^"]+)"', path.read_text())
    texts = [re.sub(r'"page_url":"[^"]*"', "", base64.b64decode(payload).decode()) for payload in payloads]
    assert not any("://" in text for text in texts)


def _with_messages(node: Any, change: Callable[[Any], Any]) -> Any:
    """The history with `change` applied to every message, but not to what the SDK's core writes about markers."""
    if isinstance(node, list):
        return [_with_messages(item, change) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("metadata", {}).get("encoding") == base64.b64encode(b"json/plain").decode() and "data" in node:
        message = change(json.loads(base64.b64decode(node["data"])))
        return node | {"data": base64.b64encode(json.dumps(message).encode()).decode()}
    changed = {name: _with_messages(value, change) for name, value in node.items()}
    if "markerName" in node:
        changed["details"] |= {name: data for name, data in node["details"].items() if name in ("data", "patch-data")}
    return changed
