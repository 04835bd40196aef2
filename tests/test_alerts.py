"""The alert rules of docs/operations/prometheus, by `promtool`, and what they rely on."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.main import build_app
from models.domain.attention import PATIENCE, AttentionKind
from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.ports import free_port
from tests.api.scraping import scrape
from tests.api.world import settings

_FOLDER = PROJECT_ROOT / "docs" / "operations" / "prometheus"
_PROMTOOL = shutil.which("promtool")
_RUNBOOK = (PROJECT_ROOT / "docs" / "operations" / "runbook.md").read_text()
_RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((_FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
_CASES: list[dict[str, Any]] = [
    case
    for test in yaml.safe_load((_FOLDER / "alerts_test.yml").read_text())["tests"]
    for case in test.get("alert_rule_test", [])
]
# Of the Temporal SDK: it exports a counter once there is something to count.
_SDK = {
    "temporal_activity_execution_failed",
    "temporal_activity_task_received",
    "temporal_workflow_task_execution_failed",
}


def _promtool(*arguments: str | Path) -> str:
    if _PROMTOOL is None:
        pytest.skip("no `promtool` on the PATH (Debian's package prometheus)")
    done = subprocess.run([_PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_configuration_and_rules_are_valid() -> None:
    assert f"{len(_RULES)} rules found" in _promtool("check", "config", _FOLDER / "prometheus.yml")


def test_alerts_fire_on_the_recorded_series_and_only_then() -> None:
    assert "SUCCESS" in _promtool("test", "rules", _FOLDER / "alerts_test.yml")


def test_a_case_that_is_wrong_fails(tmp_path: Path) -> None:
    shutil.copy(_FOLDER / "alerts.yml", tmp_path)
    cases = (_FOLDER / "alerts_test.yml").read_text()
    (tmp_path / "alerts_test.yml").write_text(cases.replace("severity: page", "severity: none"))
    with pytest.raises(AssertionError, match="severity"):
        _promtool("test", "rules", tmp_path / "alerts_test.yml")


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule["alert"])
def test_every_alert_is_tested_and_has_an_entry_in_the_runbook(rule: dict[str, Any]) -> None:
    cases = [case for case in _CASES if case["alertname"] == rule["alert"]]
    assert any(case.get("exp_alerts") for case in cases)
    severity = rule["labels"]["severity"]
    assert re.search(rf"^\| `{rule['alert']}` \| {severity} \| ", _RUNBOOK, re.MULTILINE)
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/operations/runbook.md"
    anchors = {heading.lower() for heading in re.findall(r"^### `([\w-]+)`$", _RUNBOOK, re.MULTILINE)}
    assert {anchor} <= anchors or anchor == "{{ $labels.kind }}"


def test_needs_attention_calls_after_the_same_time_as_the_digest() -> None:
    [rule] = [rule for rule in _RULES if rule["alert"] == "HoldfastNeedsAttention"]
    assert rule["expr"].endswith("> 15 * 60")
    assert PATIENCE.total_seconds() == 15 * 60


def test_kinds_in_expressions_exist() -> None:
    kinds = re.findall(r'attention\{kind="([a-z-]+)"', "".join(rule["expr"] for rule in _RULES))
    assert set(kinds) <= set(AttentionKind)
    assert kinds


async def test_every_metric_of_a_rule_is_exported(engine: AsyncEngine, database_url: str) -> None:
    temporal = await Client.connect(f"127.0.0.1:{free_port()}", lazy=True)
    app: FastAPI = build_app(settings(database_url, "alerts"), engine, temporal)
    exported = set(re.findall(r"^# TYPE (\w+) ", await scrape(app), re.MULTILINE))
    expressions = "".join(rule["expr"] for rule in _RULES)
    used = set(re.findall(r"\b((?:holdfast|temporal)_\w+)", expressions))
    assert used <= exported | _SDK
    assert used >= _SDK
