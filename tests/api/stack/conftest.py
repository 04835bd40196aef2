"""The whole stack as `./run up` starts it, and another API on it without rate limits."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.stack.stack import Stack
from tests.api.stack.unlimited_api import unlimited_api


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist loadgroup` these tests run in one process, so that there is one stack."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("stack"))


@pytest.fixture(scope="session")
def stack(services_loop: asyncio.Runner, services_directory: Path) -> Iterator[Stack]:
    """One stack for all tests of a process. Each test signs up people of its own."""
    stack = Stack(services_directory / "stack")
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
