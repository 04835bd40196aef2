"""Changes the rules one operator, number or decorator at a time, and reports which changes no test notices.

`./run mutants models/domain/policy.py` changes one module; without an argument, all that have tests nearby. cosmic-ray
does the work, in a copy of the checkout. The tests nearest to a module are those that need no service and name it.
"""

import re
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
_COPIED = ("api", "activities", "models", "workflows", "sandbox", "tests", "docs", "pyproject.toml")
_MODULES = ("models/domain/*.py", "workflows/booking/state.py")
_TESTS = ("tests/models/domain/test_*.py", "tests/models/test_settings.py", "tests/models/documents/test_*.py")
_SAGA_TESTS = ("tests/workflows/booking/test_state.py", "tests/workflows/booking/test_beliefs.py")
# Plugins that these tests do not need take longer to start than the tests do.
_PYTEST = (
    "-m pytest -x -q -c /dev/null --rootdir . --noconftest -p tests.models.conftest -p no:cacheprovider"
    " -p no:schemathesis -p no:playwright -p no:xdist -p no:asyncio -p no:timeout"
)


class Mutant(NamedTuple):
    survived: bool
    change: str
    """The changed line, as `before => after`."""


def main(modules: list[str]) -> int:
    left = 0
    for module in modules or [str(path.relative_to(_ROOT)) for each in _MODULES for path in sorted(_ROOT.glob(each))]:
        if tests := nearest_tests(module):
            left += _report(module, list(_mutants(_play(module, tests))))
    return 1 if left else 0


def nearest_tests(module: str) -> list[str]:
    """Those of the same name first, since most mutants end with the first test that fails."""
    name = Path(module).stem
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


def _play(module: str, tests: list[str]) -> Path:
    """Returns cosmic-ray's session."""
    copy = _COPIES / module.replace("/", ".").removesuffix(".py")
    _copy(copy)
    of_module = f'[cosmic-ray]\nmodule-path = "{module}"\n'
    of_module += f'test-command = "{sys.executable} {_PYTEST} {" ".join(tests)}"\n'
    settings, session = copy / "cosmic_ray.toml", copy / "session.sqlite"
    settings.write_text((_HERE / "cosmic_ray.toml").read_text().replace("[cosmic-ray]\n", of_module))
    for step in (
        ("cosmic-ray", "init", str(settings), str(session)),
        ("cr-filter-operators", str(session), str(settings)),
        ("cosmic-ray", "baseline", str(settings)),
        ("cosmic-ray", "exec", str(settings), str(session)),
    ):
        program = Path(sys.executable).parent / step[0]
        subprocess.run([program, *step[1:]], cwd=copy, check=True, stderr=subprocess.DEVNULL)
    return session


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
