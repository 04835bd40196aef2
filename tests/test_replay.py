"""`./run replay`: whether the workflows under way can go on under this checkout's code."""

import json
from pathlib import Path

import pytest

from sandbox.stack.commands import Command, StartupError, run_to_end
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python

_COMPLETED = PROJECT_ROOT / "tests" / "workflows" / "histories" / "booking" / "completed.json"


async def _replay(*files: Path) -> str:
    command = Command(
        argv=python(str(PROJECT_ROOT / "replay.py"), *map(str, files)), env=child_environment({}), cwd=files[0].parent
    )
    return await run_to_end("replay", command)


async def test_histories_as_the_cli_and_as_the_ui_exports_them_replay(tmp_path: Path) -> None:
    exported = tmp_path / "ui.json"
    exported.write_text(json.dumps(json.loads(_COMPLETED.read_text())["events"]))
    assert (
        await _replay(_COMPLETED, exported) == f"ok     {_COMPLETED}\nok     {exported}\n\n2 of 2 histories replay.\n"
    )


async def test_each_history_that_does_not_replay_is_named_with_the_reason(tmp_path: Path) -> None:
    other, none = tmp_path / "other.json", tmp_path / "none.json"
    other.write_text(_COMPLETED.read_text().replace('"settle_payment"', '"transfer"'))
    none.write_text("{}")
    with pytest.raises(StartupError) as failed:
        await _replay(other, _COMPLETED, none)
    assert str(failed.value) == (
        "replay failed with exit code 1:\n"
        f"FAILS  {other}\n       [TMPRL1100] Nondeterminism error: Activity type of scheduled event 'transfer' does "
        "not match activity type of activity command 'settle_payment'\n"
        f"ok     {_COMPLETED}\n"
        f"FAILS  {none}\n       not a workflow's history as JSON: KeyError\n\n1 of 3 histories replay.\n"
    )
