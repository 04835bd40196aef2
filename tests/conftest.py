"""Real services for the tests, one set per xdist worker, each started when a test first asks for it.

They are children of the test process: stopped at the end of the session, and by the kernel if it is killed.
"""

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from playwright.async_api import Page, async_playwright
from psycopg import sql

from sandbox.stack.migrations import create_migrated_database
from sandbox.stack.postgres import Postgres
from sandbox.stack.stripe_server import SANDBOX_KEY, StripeServer
from sandbox.stack.temporal import Temporal
from tests.allowed_skips import SkipGuard

_TEMPLATE = "holdfast_template"

_CHROMIUM = shutil.which("chromium")
_QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI"):
        config.pluginmanager.register(SkipGuard())


def pytest_collection_finish() -> None:
    """What is imported stays, and need not be looked at in each garbage collection.

    On a busy machine a collection of all of it within a workflow task is taken for a deadlock of the workflow.
    """
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, kw_only=True)
class StripeSandbox:
    """Where the tests' Stripe answers, and a key it takes."""

    url: str
    key: str


@pytest.fixture(scope="session")
def services_loop() -> Iterator[asyncio.Runner]:
    """The event loop that watches the services. It outlives those of the tests, which come and go."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def services_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="holdfast-tests-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def postgres(services_loop: asyncio.Runner, services_directory: Path) -> Iterator[Postgres]:
    """A server without our schema. For a database with it, take `database_url`."""
    server = Postgres(services_directory / "postgres", log=services_directory / "postgres.log")
    try:
        services_loop.run(server.start())
        yield server
    finally:
        services_loop.run(server.stop())


@pytest.fixture(scope="session")
def migrated_template(services_loop: asyncio.Runner, postgres: Postgres) -> str:
    """The name of a database that went through every migration, to make copies of."""
    services_loop.run(create_migrated_database(postgres, _TEMPLATE))
    return _TEMPLATE


@contextmanager
def _database(postgres: Postgres, *, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.conninfo("postgres"), autocommit=True) as connection:
        # A file copy is the quicker strategy here, since fsync is off.
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield name
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database_url(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    """A fresh, migrated database of the test's own, as a SQLAlchemy URL; dropped after it."""
    with _database(postgres, template=migrated_template) as name:
        yield postgres.url(name)


@pytest.fixture
def program_url(postgres: Postgres, database_url: str) -> str:
    """The same database, as the role that the API and the worker have."""
    return postgres.program_url(database_url.rpartition("/")[2])


@pytest.fixture
def empty_database_url(postgres: Postgres) -> Iterator[str]:
    """A fresh database without any table, for tests of the migrations themselves."""
    with _database(postgres, template="template0") as name:
        yield postgres.url(name)


@pytest.fixture(scope="session")
def temporal_address(services_loop: asyncio.Runner, services_directory: Path) -> Iterator[str]:
    """The address of a Temporal dev server with our search attributes. Tests share it: use ids of your own."""
    server = Temporal(services_directory / "temporal", log=services_directory / "temporal.log")
    try:
        services_loop.run(server.start())
        yield server.address
    finally:
        services_loop.run(server.stop())


@pytest.fixture(scope="session")
def stripe_sandbox(services_loop: asyncio.Runner, services_directory: Path) -> Iterator[StripeSandbox]:
    """The Stripe sandbox over HTTP. Tests share it: use customers and accounts of your own."""
    server = StripeServer(services_directory / "stripe", log=services_directory / "stripe.log")
    try:
        services_loop.run(server.start())
        yield StripeSandbox(url=server.url, key=SANDBOX_KEY)
    finally:
        services_loop.run(server.stop())


@pytest.fixture
async def browser_page() -> AsyncIterator[Page]:
    """A page of a browser of the test's own."""
    if _CHROMIUM is None:
        pytest.skip("no `chromium` on the PATH (Debian's package of that name)")
    with tempfile.TemporaryDirectory() as home:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=_QUIET, env={"HOME": home})
            try:
                yield await browser.new_page()
            finally:
                await browser.close()
