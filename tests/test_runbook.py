"""docs/operations/runbook.md has an entry for every reason for which something waits for an operator.

The reasons are read from the code. A new place that states one fails here until it is listed, with its texts.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator

import pytest
from temporalio.exceptions import ActivityError, ApplicationError

from activities.booking.payments import PaymentActivities
from activities.booking.records import RecordActivities
from models.domain import renewals, session_reports
from models.domain.attention import AttentionKind, kind_of
from models.domain.reconciliation import ATTENTION_PREFIX
from sandbox.stack.environment import PROJECT_ROOT
from tests.sentence_patterns import is_known
from workflows.activity_calls import HoldLost, reason_of


def _failed(name: str) -> str:
    cause = ApplicationError("declined: charge_expired_for_capture (request none)", type="Declined")
    failure = ActivityError(
        "failed",
        scheduled_event_id=0,
        started_event_id=0,
        identity="",
        activity_type=name,
        activity_id="",
        retry_state=None,
    )
    failure.__cause__ = cause
    return reason_of(failure)


def _activities(*kinds: type) -> list[str]:
    return [
        name for kind in kinds for name, value in vars(kind).items() if hasattr(value, "__temporal_activity_definition")
    ]


def _texts(module: str, *functions: str) -> Iterator[str]:
    """What the functions return or state as a detail: their texts, with a word in place of each value."""
    loaded = importlib.import_module(module)
    for node in ast.walk(ast.parse(inspect.getsource(loaded))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in functions:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return | ast.Assign | ast.keyword) and inner.value is not None:
                    yield from _filled(inner.value, vars(loaded))


def _filled(value: ast.expr, names: dict[str, object]) -> Iterator[str]:
    match value:
        case ast.Constant(value=str() as text):
            yield text
        case ast.Name(id=name) if isinstance(names.get(name), str):
            yield str(names[name])
        case ast.IfExp(body=body, orelse=orelse):
            yield from _filled(body, names)
            yield from _filled(orelse, names)
        case ast.JoinedStr(values=parts):
            yield "".join(
                next(_filled(part.value if isinstance(part, ast.FormattedValue) else part, names), "x")
                for part in parts
            )


def _of_reconciliation(texts: Iterator[str]) -> list[str]:
    return [ATTENTION_PREFIX + text for text in texts]


_STEPS = _activities(PaymentActivities, RecordActivities)
_STATED: dict[tuple[str, str], list[str]] = {
    ("workflows/booking/progress.py", "reason_of(failure)"): [reason_of(HoldLost()), *map(_failed, _STEPS)],
    ("workflows/booking/workflow.py", "session_reports.UNDECIDED"): [session_reports.UNDECIDED],
    ("workflows/booking/renewals.py", "LATE_PAYMENT_MISSING"): [renewals.LATE_PAYMENT_MISSING],
    # The reason that a booking had before its workflow was reset.
    ("workflows/booking/workflow.py", "reason"): [],
    # What a workflow states, written to its booking's record.
    ("activities/booking/records.py", "message.reason"): [],
    ("activities/failed_writes.py", "message.reason"): [],
    ("activities/database/attention.py", "reason"): [
        *_texts("activities.database.attention", "_owed", "_stuck", "_drifting"),
        *_of_reconciliation(_texts("activities.reconciliation.executions", "_differ", "_failure")),
        *_of_reconciliation(_texts("workflows.reconciliation", "_stuck")),
    ],
    ("activities/disputes.py", "attention.dispute_reason(dispute.id)"): [
        *_texts("activities.database.attention", "dispute_reason")
    ],
    ("activities/fraud_warnings.py", "reason"): [*_texts("activities.fraud_warnings", "_call_attention")],
}
"""Where a reason is stated, as file and expression, and the texts that it can have there."""


def _statements() -> Iterator[tuple[str, str, list[str]]]:
    for folder, stating in _STATING.items():
        for path in sorted((PROJECT_ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in stating:
                    name = str(path.relative_to(PROJECT_ROOT))
                    yield name, ast.unparse(node.args[0]), [*_filled(node.args[0], {})]


_STATING = {"activities": {"call_attention"}, "workflows": {"park", "show"}, "api": {"call_attention"}}
_STATEMENTS = [*_statements()]
_REASONS = sorted({text for texts in (*_STATED.values(), *(texts for *_, texts in _STATEMENTS)) for text in texts})


def test_every_statement_of_a_reason_is_listed() -> None:
    assert {(path, argument) for path, argument, texts in _STATEMENTS if not texts} == _STATED.keys()


def test_bookings_need_attention_only_by_the_method_that_keeps_since_when() -> None:
    assigned = [
        f"{path}: {ast.unparse(target)}"
        for folder in ("activities", "api", "models")
        for path in sorted((PROJECT_ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assign)
        for target in node.targets
        if "attention" in ast.unparse(target) and isinstance(target, ast.Attribute | ast.Tuple)
    ]
    assert [each for each in assigned if "app.state" not in each and "models/tables/bookings.py" not in each] == []


@pytest.mark.parametrize("reason", _REASONS)
def test_every_reason_has_a_kind(reason: str) -> None:
    assert kind_of(reason) is not AttentionKind.OTHER


@pytest.mark.parametrize("reason", _REASONS)
def test_every_reason_is_said_in_the_operators_language(reason: str) -> None:
    assert is_known(reason.removeprefix(ATTENTION_PREFIX))


def test_every_kind_has_a_reason_that_is_stated() -> None:
    assert {kind_of(reason) for reason in _REASONS} == set(AttentionKind) - {AttentionKind.OTHER}


_PAGE = (PROJECT_ROOT / "docs" / "operations" / "runbook.md").read_text()
_ENTRIES = dict(re.findall(r"^### `([a-z-]+)`\n\n(.+?)(?=\n#|\Z)", _PAGE, re.MULTILINE | re.DOTALL))


def test_runbook_has_an_entry_for_every_kind_in_its_order() -> None:
    assert [*_ENTRIES] == [*AttentionKind]


@pytest.mark.parametrize("kind", AttentionKind)
def test_entry_says_what_it_means_what_to_check_and_what_to_do(kind: AttentionKind) -> None:
    assert re.findall(r"^\*\*(\w+)\.\*\* ", _ENTRIES[kind], re.MULTILINE) == ["Means", "Check", "Do"]
