"""Changes the rules one operator, number or decorator at a time, and reports which changes no test notices.

`./run mutants models/domain/policy.py` changes one module; without an argument, all that have tests nearby. cosmic-ray
does the work, in a copy of the checkout. The tests nearest to a module of the domain are those that need no service and
name it; those of each module of the workflow are listed here. `--sample 15 --seed 1` plays 15 mutants of each module.
"""

import argparse
import json
import random
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_HERE, _ROOT = Path(__file__).parent, Path(__file__).parents[2]
_COPIES = _ROOT / ".local" / "mutants"
_COPIED = ("api", "activities", "models", "workflows", "sandbox", "tests", "docs", "pyproject.toml", "worker.py")
_MODULES = ("models/domain/*.py", "workflows/booking/*.py")
_TESTS = ("tests/models/domain/test_*.py", "tests/models/test_settings.py", "tests/models/documents/test_*.py")
_SAGA_TESTS = ("tests/workflows/booking/test_state.py", "tests/workflows/booking/test_beliefs.py")
# Plugins that these tests do not need take longer to start than the tests do.
_PYTEST = (
    "-m pytest -x -q -c /dev/null --rootdir . --noconftest -p tests.models.conftest -p no:cacheprovider"
    " -p no:schemathesis -p no:playwright -p no:xdist -p no:asyncio -p no:timeout"
)
_PYTEST_WITH_SERVICES = "-m pytest -x -q -p no:cacheprovider -p no:schemathesis"
_EVERY_ORDER = "tests/workflows/booking/every_order/test_every_order.py"
_DISTURBANCES = "tests/workflows/booking/every_order/test_disturbances.py"
_STATE = [f"tests/workflows/booking/test_{name}.py" for name in ("state", "decisions", "renewal_state", "details")]
_SAGA = [
    _DISTURBANCES,
    f"{_EVERY_ORDER}::test_a_second_decision_while_the_money_moves_is_refused",
    f"{_EVERY_ORDER}::test_no_order_of_events_breaks_an_invariant[HOLD-SETTLE]",
]
_WORKFLOW_TESTS = {
    "decisions": [*_STATE, *_SAGA],
    "details": _STATE[-1:],
    "handlers": [*_SAGA[:2], "tests/workflows/booking/test_signals.py"],
    "outcomes": _SAGA,
    "progress": _SAGA,
    "renewal_state": [*_STATE, _DISTURBANCES],
    "renewals": [_DISTURBANCES],
    "state": [*_STATE, *_SAGA],
    "steps": _SAGA,
    "workflow": _SAGA,
}
_REPLAYS = "tests/workflows/test_replay.py::test_a_saved_history_replays"
_WITH_SERVICES = {
    "handlers": [
        _REPLAYS,
        "tests/workflows/booking/test_handlers.py",
        "tests/workflows/booking/test_refused_signals.py",
    ],
    "outcomes": [_REPLAYS, "tests/workflows/booking/test_rescheduling.py"],
    "progress": [_REPLAYS, "tests/workflows/booking/test_operator.py"],
    "refused_signals": ["tests/workflows/booking/test_refused_signals.py"],
    "renewal_state": [_REPLAYS, "tests/workflows/booking/test_renewals.py"],
    "renewals": [_REPLAYS, "tests/workflows/booking/test_renewals.py"],
    "state": [_REPLAYS],
    "steps": [_REPLAYS, "tests/workflows/booking/test_lapsed_holds.py"],
    "workflow": [_REPLAYS],
}
"""What is played of the mutants that the first ones do not notice."""


class Mutant(NamedTuple):
    survived: bool
    change: str
    """The changed line, as `before => after`."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run mutants", description="Changes the rules.")
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--sample", type=int, help="how many mutants of each module, if not all")
    parser.add_argument("--seed", type=int, default=0, help="what draws them")
    options = parser.parse_args(arguments)
    found = [str(path.relative_to(_ROOT)) for each in _MODULES for path in sorted(_ROOT.glob(each))]
    left = 0
    for module in options.modules or found:
        if tests := _test_commands(module):
            left += _report(module, list(_mutants(_play(module, tests, options.sample, options.seed))))
    return 1 if left else 0


def _test_commands(module: str) -> list[str]:
    with_services = _WITH_SERVICES.get(Path(module).stem, []) if module.startswith("workflows/") else []
    played = ((_PYTEST, nearest_tests(module)), (_PYTEST_WITH_SERVICES, with_services))
    return [shlex.join([sys.executable, *pytest.split(), *tests]) for pytest, tests in played if tests]


def nearest_tests(module: str) -> list[str]:
    """Without services. Those of the same name first, since most mutants end with the first test that fails."""
    name = Path(module).stem
    if module.startswith("workflows/"):
        return _WORKFLOW_TESTS.get(name, [])
    names_it = re.compile(rf"\b{Path(module).parent.name}(\.| import (.*, )?){name}\b")
    found = (path for each in (*_TESTS, *_SAGA_TESTS) for path in sorted(_ROOT.glob(each)))
    near = [str(path.relative_to(_ROOT)) for path in found if names_it.search(path.read_text())]
    return sorted(near, key=lambda path: Path(path).stem != f"test_{name}")


def _copy(to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for name in _COPIED:
        source, target = _ROOT / name, to / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def _play(module: str, commands: list[str], sample: int | None, seed: int) -> Path:
    """Returns cosmic-ray's session."""
    copy = _COPIES / module.replace("/", ".").removesuffix(".py")
    _copy(copy)
    command = json.dumps(shlex.join(["sh", "-c", " && ".join(commands)]))
    of_module = f'[cosmic-ray]\nmodule-path = "{module}"\ntest-command = {command}\n'
    settings, session = copy / "cosmic_ray.toml", copy / "session.sqlite"
    settings.write_text((_HERE / "cosmic_ray.toml").read_text().replace("[cosmic-ray]\n", of_module))
    _call(copy, "cosmic-ray", "init", settings, session)
    _call(copy, "cr-filter-operators", session, settings)
    if sample is not None:
        _draw(session, sample, seed)
    _call(copy, "cosmic-ray", "baseline", settings)
    _call(copy, "cosmic-ray", "exec", settings, session)
    return session


def _call(copy: Path, program: str, *arguments: str | Path) -> None:
    command = [Path(sys.executable).parent / program, *arguments]
    subprocess.run(command, cwd=copy, check=True, stderr=subprocess.DEVNULL)


def _draw(session: Path, sample: int, seed: int) -> None:
    """Drop all other mutants. The same seed draws the same ones, as long as the module does not change."""
    with sqlite3.connect(session) as records:
        to_play = "SELECT job_id FROM mutation_specs WHERE job_id NOT IN (SELECT job_id FROM work_results)"
        place = " ORDER BY start_pos_row, start_pos_col, operator_name, occurrence, operator_args"
        left = records.execute(to_play + place).fetchall()
        random.Random(seed).shuffle(left)  # noqa: S311
        print(f"{min(sample, len(left))} of {len(left)} mutants, drawn by the seed {seed}", flush=True)
        records.executemany("DELETE FROM mutation_specs WHERE job_id = ?", left[sample:])
        records.executemany("DELETE FROM work_items WHERE job_id = ?", left[sample:])


def _mutants(session: Path) -> Iterator[Mutant]:
    with sqlite3.connect(session) as records:
        played = "SELECT test_outcome, diff FROM work_results WHERE worker_outcome = 'NORMAL'"
        for outcome, diff in records.execute(played):
            changed = [line[1:].strip() for line in diff.splitlines() if re.match(r"[-+](?![-+])", line)]
            yield Mutant(outcome == "SURVIVED", " => ".join(changed))


def _report(module: str, mutants: list[Mutant]) -> int:
    """How many mutants of the module survive, and are not listed as equivalent."""
    equivalent = tomllib.loads((_HERE / "equivalent.toml").read_text()).get(module, {})
    survivors = [mutant.change for mutant in mutants if mutant.survived]
    left = [change for change in survivors if change not in equivalent]
    killed = len(mutants) - len(survivors)
    share = killed / (killed + len(left)) if killed + len(left) else 1
    print(
        f"{module}: {killed} of {len(mutants)} killed, {len(survivors) - len(left)} equivalent, {share:.1%}", flush=True
    )
    for change in left:
        print(f"    {change}")
    return len(left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
