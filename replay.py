"""`./run replay FILE...`: replays exported workflow histories against the workflows of this checkout.

Each history is one that `temporal workflow show --output json` or the Temporal UI has exported. If the new code would
go another way than the history, its workflow could not go on under it.
"""

import argparse
import asyncio
import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.worker import Replayer

from worker import SANDBOX, WORKFLOWS
from workflows.client.interceptors import LoggingInterceptor

_STARTED = "workflowExecutionStartedEventAttributes"


class _UnreadableHistory(Exception):
    pass


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run replay", description=__doc__.partition("\n\n")[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a history as JSON")
    files: list[Path] = parser.parse_args().files
    failed = asyncio.run(_replay_all(files))
    print(f"\n{len(files) - failed} of {len(files)} histories replay.")
    return 1 if failed else 0


async def _replay_all(files: list[Path]) -> int:
    """Returns how many do not replay."""
    # The SDK logs each failure with stack traces, in two ways. What differs is printed here.
    logging.disable(logging.CRITICAL)
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=SANDBOX,
        data_converter=pydantic_data_converter,
        interceptors=[TracingInterceptor(), LoggingInterceptor()],
        runtime=Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="off"))),
    )
    failed = 0
    for path in files:
        try:
            history = _read(path)
            result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
            failure = _reason(result.replay_failure) if result.replay_failure else None
        except _UnreadableHistory as error:
            failure = str(error)
        failed += failure is not None
        print(f"FAILS  {path}\n       {failure}" if failure else f"ok     {path}", flush=True)
    return failed


def _reason(failure: Exception) -> str:
    """The SDK's message is a printed structure with the reason in it."""
    found = re.search(r'message: "((?:[^"\\]|\\.)*)"', str(failure))
    return found[1].replace("\\", "") if found else str(failure)


def _read(path: Path) -> WorkflowHistory:
    """Raises `_UnreadableHistory`."""
    try:
        exported: Any = json.loads(path.read_text())
        # The UI's export is the list alone.
        history = {"events": exported} if isinstance(exported, list) else exported
        started = history["events"][0][_STARTED]
        return WorkflowHistory.from_json(started.get("workflowId", path.stem), history)
    except (OSError, UnicodeError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _UnreadableHistory(f"not a workflow's history as JSON: {type(error).__name__}") from error


if __name__ == "__main__":
    sys.exit(main())
