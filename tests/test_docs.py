"""The docs: every link leads somewhere, the index has every page, and every command is run or says why it is not."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from sandbox.stack.environment import PROJECT_ROOT
from tests.api.route_table import API
from tests.compose import services

_README = PROJECT_ROOT / "README.md"
_DOCS = PROJECT_ROOT / "docs"
_DECISIONS = _DOCS / "decisions"
PAGES = [_README, *sorted(path for path in _DOCS.rglob("*.md") if _DECISIONS not in path.parents)]

RUN_BY = {
    "docs/agents.md": "tests/api/stack/test_examples.py",
    "docs/api.md": "tests/api/stack/test_walkthrough.py",
    "docs/quickstart.md": "tests/api/stack/test_quickstart.py",
    "docs/webhooks.md": "tests/api/stack/test_examples.py",
}
"""The tests that run all commands of a page."""

NOT_RUN = {
    "docker compose": "needs a Docker engine; tests/test_image.py runs what the containers run",
    "curl --fail http://127.0.0.1:8000/readyz": "asks a container; tests/test_image.py runs its health check",
    "kubectl": "needs a cluster; tests/test_kubernetes.py validates the manifests",
    "mkdir histories": "is for the commands after it",
    "temporal workflow list": "exports open bookings; tests/test_replay.py has some, exported in the same way",
    "./run replay": "reads what the command before it exported; tests/test_replay.py runs it",
    "npm install --global @stripe/cli": "installs a program on this machine",
    "stripe ": "needs an account at Stripe",
    "STRIPE_TEST_KEY=": "needs an account at Stripe",
    "diff -r actual": "compares what Stripe answered",
    "./run bench": "takes minutes; tests/bench run its parts",
    "./run test": "is what runs this test",
    "./run check": "is what CI runs before the tests",
    "python -m sandbox.stripe": "runs until it is stopped; the fixture `stripe` starts it so",
}
"""Commands, by how they begin, that no test runs as they are written, and why."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LANGUAGES = {"sh", "http", "ini", "json", "mermaid", "python", "sql", "text", "yaml"}


def _name(page: Path) -> str:
    return str(page.relative_to(PROJECT_ROOT))


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text())


@cache
def _anchors(page: Path) -> set[str]:
    """The ids that GitHub gives the headings."""
    titles = (_LINK.sub(lambda link: link[0][1:].partition("]")[0], title) for title in _HEADING.findall(_prose(page)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _broken(page: Path) -> Iterator[str]:
    for link in _LINK.findall(_prose(page)):
        if re.match(r"https?:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
            yield link


@pytest.mark.parametrize("page", [*PAGES, *sorted(_DECISIONS.glob("*.md"))], ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [*_broken(page)] == []


def test_index_has_every_page() -> None:
    index = _DOCS / "index.md"
    linked = {(_DOCS / link.partition("#")[0]).resolve() for link in _LINK.findall(_prose(index))}
    assert {_name(page) for page in PAGES} - {_name(page) for page in linked if page.exists()} == {"docs/index.md"}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_block_names_its_language(page: Path) -> None:
    assert {language for language, _ in _FENCE.findall(page.read_text())} <= _LANGUAGES


def _commands(page: Path) -> Iterator[str]:
    for language, block in _FENCE.findall(page.read_text()):
        if language == "sh":
            # An indented line goes on with the one before it.
            yield from re.findall(r"^\S.*", block, re.MULTILINE)


def test_every_command_is_run_or_says_why_not() -> None:
    commands = {_name(page): [*_commands(page)] for page in PAGES}
    assert RUN_BY.keys() <= {page for page, found in commands.items() if found}
    elsewhere = [command for page, found in commands.items() if page not in RUN_BY for command in found]
    assert [command for command in elsewhere if not command.startswith((*NOT_RUN,))] == []
    assert [start for start in NOT_RUN if not any(command.startswith(start) for command in elsewhere)] == []


@pytest.mark.parametrize(("page", "test"), RUN_BY.items())
def test_the_test_of_a_page_reads_it(page: str, test: str) -> None:
    assert Path(page).name in (PROJECT_ROOT / test).read_text()


_TEXTS = "\n".join(page.read_text() for page in PAGES)


def test_commands_name_services_and_modules_that_exist() -> None:
    named = re.findall(r"docker compose (?:exec|run --rm|start|stop) ([a-z-]+)", _TEXTS)
    modules = {*re.findall(r"python -m (\w[\w.]+)", _TEXTS)} - {"venv"}
    assert named
    assert {*named} <= services().keys()
    assert modules
    assert [name for name in modules if find_spec(name) is None] == []


def test_requests_name_routes_that_exist() -> None:
    routes = [re.compile(f"{method} {re.sub(r'{.+?}', '[^/]+', path)}") for method, path in API]
    named = {*re.findall(r"\b(?:DELETE|GET|PATCH|POST) /v1/[\w/.{}-]*[\w}](?![\w/.{}-])", _TEXTS)}
    assert len(named) > 50
    assert [request for request in named if not any(route.fullmatch(request) for route in routes)] == []


def test_readme_has_the_commands_of_run() -> None:
    usage = (PROJECT_ROOT / "run").read_text().partition("cat <<'TEXT'\n")[2].partition("\nTEXT")[0]
    commands = {line.split()[1] for line in usage.splitlines()}
    assert {*re.findall(r"^\| `\./run (\w+)", _README.read_text(), re.MULTILINE)} == commands
    assert {*re.findall(r"\./run ([a-z]+)", _TEXTS)} <= commands
