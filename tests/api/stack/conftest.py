"""The whole stack as `./run up` starts it, and another API on it without rate limits."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.stack.stack import Stack
from tests.api.stack.unlimited_api import unlimited_api
from tests.collector import Collector, collecting


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Gets the spans of the stack."""
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="session")
def stack(
    services_loop: asyncio.Runner,
    services_directory: Path,
    tmp_path_factory: pytest.TempPathFactory,
    collector: Collector,
) -> Iterator[Stack]:
    """One for all tests, which `OneStackScheduling` keeps in one process. Each test signs up people of its own."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Fails in a second process of this run, all of which have their files next to each other.
        (tmp_path_factory.getbasetemp().parent / "has-a-stack").touch(exist_ok=False)
    stack = Stack(services_directory / "stack", env=collector.environment)
    services_loop.run(stack.__aenter__())
    try:
        yield stack
    finally:
        services_loop.run(stack.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def unlimited_url(stack: Stack, services_loop: asyncio.Runner) -> Iterator[str]:
    process, url = unlimited_api(stack)
    services_loop.run(process.start())
    try:
        yield url
    finally:
        services_loop.run(process.stop())
