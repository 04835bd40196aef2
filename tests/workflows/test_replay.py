"""Bookings under way survive a change of the saga: the saved history of every journey is replayed.

The histories come from `./run demo --histories tests/workflows/histories`. Save them anew only for a change made
before the first release; from then on, a change that fails here must be patched (`workflow.patched`).
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from sandbox.demo import journeys
from workflows.booking.workflow import BookingWorkflow
from workflows.client.interceptors import RequestIdWorkerInterceptor

_HISTORIES = Path(__file__).parent / "histories"
# The second student's booking never came to be, and the first one's goes like `completed`.
_WITHOUT_BOOKING = {"slot_taken"}


def _saved(journey: str) -> dict[str, Any]:
    history: dict[str, Any] = json.loads((_HISTORIES / f"{journey}.json").read_text())
    return history


async def _replay(history: dict[str, Any]) -> None:
    replayer = Replayer(
        workflows=[BookingWorkflow], data_converter=pydantic_data_converter, interceptors=[RequestIdWorkerInterceptor()]
    )
    await replayer.replay_workflow(WorkflowHistory.from_json("booking", history))


def test_every_journey_has_a_saved_history() -> None:
    played = {play.__name__ for play in journeys.ALL}
    assert {path.stem for path in _HISTORIES.glob("*.json")} == played - _WITHOUT_BOOKING


@pytest.mark.parametrize("path", sorted(_HISTORIES.glob("*.json")), ids=lambda path: path.stem)
async def test_a_saved_history_replays(path: Path) -> None:
    await _replay(_saved(path.stem))


async def test_a_history_that_the_saga_did_not_make_fails_to_replay() -> None:
    history = _saved("completed")
    for event in history["events"]:
        if name := event.get("activityTaskScheduledEventAttributes", {}).get("activityType"):
            name["name"] = "transfer" if name["name"] == "settle" else name["name"]
    with pytest.raises(workflow.NondeterminismError):
        await _replay(history)


@pytest.mark.parametrize("path", sorted(_HISTORIES.glob("*.json")), ids=lambda path: path.stem)
def test_nothing_personal_is_in_a_saved_history(path: Path) -> None:
    """The demo's people have these in their names, addresses, words and cards."""
    payloads = re.findall(r'"data":"([^"]+)"', path.read_text())
    assert payloads
    text = " ".join(base64.b64decode(payload).decode() for payload in payloads)
    assert "booking_id" in text
    for word in ("@", "Sam", "Student", "Ines", "travelling", "424242"):
        assert word not in text
