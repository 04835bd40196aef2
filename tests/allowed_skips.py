"""The skips that CI accepts, each with its reason. Any other skip fails the session when `CI` is set.

A test that is skipped by mistake looks like one that passes, so a skip has to be listed here.
"""

from collections.abc import Iterable

import pytest

ALLOWED_SKIPS: dict[str, str] = {
    "tests/sandbox/stripe/test_schema.py::test_stripes_own_fixtures_are_accepted": (
        "Stripe's published fixtures are not in this repository; `.ci/run` finds them if they are next to it"
    ),
}
"""Prefix of a test id → why it may be skipped in CI."""


def unlisted(skipped: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """The ids of skipped tests that no entry covers."""
    prefixes = tuple(allowed)
    return sorted(test for test in set(skipped) if not test.startswith(prefixes))


class SkipGuard:
    """A pytest plugin that fails the session if a test or a whole file is skipped and not listed."""

    def __init__(self) -> None:
        self._skipped: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # An expected failure is reported as skipped, but the test did run.
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skipped.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if unlisted(self._skipped, ALLOWED_SKIPS) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test in unlisted(self._skipped, ALLOWED_SKIPS):
            terminalreporter.write_line(f"FAILED: skipped, and not in tests/allowed_skips.py: {test}", red=True)
