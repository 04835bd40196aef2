"""Real services for the tests, one set per xdist worker, each started when a test first asks for it.

They are children of the test process: stopped at the end of the session, and by the kernel if it is killed.
"""

import asyncio
import gc
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Page, async_playwright
from sqlalchemy.ext.asyncio import AsyncEngine
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

from models.db import build_engine
from sandbox.browser.chromium import NoBrowserError, chromium_program
from sandbox.stack.migrations import create_migrated_database
from sandbox.stack.postgres import Postgres
from sandbox.stack.stripe_server import SANDBOX_KEY, StripeServer
from sandbox.stack.temporal import Temporal
from tests.allowed_skips import SkipGuard
from tests.databases import ReusedDatabase, create_database, drop_database

_TEMPLATE, _DATABASE = "holdfast_template", "holdfast_test"

_QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


# Imports leave hardly any garbage, and looking for it takes a fifth of their time.
gc.disable()


class OneStackScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Sends the tests of the whole stack to one process, so that there is one stack, and any other test to any process.

    xdist's own `--dist loadgroup` does nothing under pytest 9.2, which ignores the node ids that it sets.
    """

    def _split_scope(self, nodeid: str) -> str:
        folder, stack, _ = nodeid.partition("/stack/")
        return folder + stack if folder == "tests/api" else nodeid

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Forget scopes that are done: xdist goes through all of a process's scopes after each of its tests."""
        nodeid = self.registered_collections[node][item_index]
        scope = self._split_scope(nodeid)
        tests = self.assigned_work[node][scope]
        tests[nodeid] = True
        if all(tests.values()):
            del self.assigned_work[node][scope]
        self._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneStackScheduling:
    return OneStackScheduling(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without-browser", action="store_true", help="skip the tests that need a Chromium")


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI"):
        config.pluginmanager.register(SkipGuard())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    repeated = [nodeid for nodeid, times in Counter(item.nodeid for item in items).items() if times > 1]
    if repeated:
        raise pytest.UsageError(f"Of tests with the same id, xdist runs one. Give them different ids: {repeated}")
    items[:] = _ordered(items)


def _ordered(items: list[pytest.Item]) -> list[pytest.Item]:
    """Begin with the tests of the stack, which one process runs, and end with the shortest.

    Tests that wait more than they compute are spread among those that compute, so that the machine is always busy.
    """
    stack, waiting, computing, short = (
        list[pytest.Item](),
        list[pytest.Item](),
        list[pytest.Item](),
        list[pytest.Item](),
    )
    for item in items:
        if item.nodeid.startswith("tests/api/stack/"):
            stack.append(item)
        # The longest tests have a time limit of their own.
        elif item.get_closest_marker("timeout") or item.nodeid.startswith("tests/api/live/"):
            waiting.append(item)
        elif item.nodeid.startswith("tests/models/"):
            short.append(item)
        else:
            computing.append(item)
    spread = [(index / len(each), item) for each in (waiting, computing) for index, item in enumerate(each)]
    return [*stack, *(item for _, item in sorted(spread, key=itemgetter(0))), *short]


def pytest_collection_finish() -> None:
    """Exclude what is imported from garbage collection.

    On a busy machine, a full collection within a workflow task counts as a deadlock of the workflow.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


@dataclass(frozen=True, kw_only=True)
class StripeSandbox:
    """The URL of a Stripe sandbox, and a key that it accepts."""

    url: str
    key: str


@pytest.fixture(scope="session")
def services_loop() -> Iterator[asyncio.Runner]:
    """The event loop that supervises the services. The tests have event loops of their own."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def services_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="holdfast-tests-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def postgres(services_loop: asyncio.Runner, services_directory: Path) -> Iterator[Postgres]:
    """A server without our schema. For a database with it, use `database_url`."""
    server = Postgres(services_directory / "postgres", log=services_directory / "postgres.log")
    try:
        services_loop.run(server.start())
        yield server
    finally:
        services_loop.run(server.stop())


@pytest.fixture(scope="session")
def migrated_template(services_loop: asyncio.Runner, postgres: Postgres) -> str:
    """The name of a migrated database to copy."""
    services_loop.run(create_migrated_database(postgres, _TEMPLATE))
    return _TEMPLATE


@pytest.fixture(scope="session")
def _reused_database(postgres: Postgres, migrated_template: str) -> Iterator[ReusedDatabase]:
    database = ReusedDatabase(postgres, _DATABASE, template=migrated_template)
    yield database
    database.drop()


@pytest.fixture
def database_url(_reused_database: ReusedDatabase) -> str:
    """An empty, migrated database, as a SQLAlchemy URL."""
    return _reused_database.emptied()


@pytest.fixture(scope="session")
def _reused_engine(postgres: Postgres) -> AsyncEngine:
    # Its statements are compiled once for all tests. Of its connections, each test has its own.
    return build_engine(postgres.url(_DATABASE))


@pytest.fixture
async def engine(database_url: str, _reused_engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """An engine on `database_url`. Its connections are closed after the test."""
    yield _reused_engine
    await _reused_engine.dispose()


@pytest.fixture
def program_url(postgres: Postgres, database_url: str) -> str:
    """The same database, as the role that the API and the worker have."""
    return postgres.program_url(database_url.rpartition("/")[2])


@pytest.fixture
def empty_database_url(postgres: Postgres) -> Iterator[str]:
    """A new database without any table, for tests of the migrations themselves."""
    name = f"test_{uuid4().hex}"
    create_database(postgres, name, template="template0")
    yield postgres.url(name)
    drop_database(postgres, name)


@pytest.fixture(scope="session")
def temporal_address(services_loop: asyncio.Runner, services_directory: Path) -> Iterator[str]:
    """The address of a Temporal dev server with our search attributes. Tests share it, with ids of their own."""
    server = Temporal(services_directory / "temporal", log=services_directory / "temporal.log")
    try:
        services_loop.run(server.start())
        yield server.address
    finally:
        services_loop.run(server.stop())


@pytest.fixture(scope="session")
def stripe_sandbox(services_loop: asyncio.Runner, services_directory: Path) -> Iterator[StripeSandbox]:
    """The Stripe sandbox over HTTP. Tests share it, with customers and accounts of their own."""
    server = StripeServer(services_directory / "stripe", log=services_directory / "stripe.log", strict_version=True)
    try:
        services_loop.run(server.start())
        yield StripeSandbox(url=server.url, key=SANDBOX_KEY)
    finally:
        services_loop.run(server.stop())


@pytest.fixture(scope="session")
def chromium(request: pytest.FixtureRequest) -> Path:
    """The program, installed if there is none."""
    if request.config.getoption("--without-browser"):
        pytest.skip("--without-browser")
    try:
        return chromium_program()
    except NoBrowserError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
async def browser_page(chromium: Path) -> AsyncIterator[Page]:
    """A page in a browser of the test's own."""
    with tempfile.TemporaryDirectory() as home:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=_QUIET, env={"HOME": home})
            try:
                yield await browser.new_page()
            finally:
                await browser.close()
