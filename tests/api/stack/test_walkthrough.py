"""Every request of the walkthrough in `docs/api.md` is sent, and every response compared with the page."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.browser.checkout_page import pay
from sandbox.browser.onboarding_page import onboard
from sandbox.stack.stack import Stack
from tests.api.stack.walkthrough import (
    Browsing,
    Comparison,
    Exchange,
    Naming,
    Step,
    Variables,
    Waiting,
    sent,
    steps,
)

SECTION = (
    (Path(__file__).parents[3] / "docs" / "api.md")
    .read_text()
    .partition("\n## A booking, step by step\n")[2]
    .partition("\n## ")[0]
)
LINKS: dict[str, Callable[[str], Awaitable[object]]] = {"url": onboard, "checkout_url": pay}
"""What people do on the page that a link of this name opens."""

_STARTS_IN = timedelta(seconds=20)
"""At least: a slot begins at a whole minute."""
_PATIENCE_SECONDS = 20


@dataclass
class Walk:
    """Taken by `run`, which is the loop that the pages of the sandbox are visited in."""

    api_url: str
    run: Callable[[Any], object]
    variables: dict[str, str] = field(default_factory=dict)
    likeness: Comparison = field(default_factory=Comparison)
    answer: Any = None

    def take(self, step: Step) -> None:
        match step:
            case Variables(given):
                for name, value in given.items():
                    self.variables[name] = self.likeness.known[value] = self.ours(name)
            case Exchange():
                self.ask(step)
            case Naming(name):
                self.variables[name] = step.value(self.answer)
            case Browsing(link):
                self.run(LINKS[link](self.answer[link]))
            case Waiting():
                left = datetime.fromisoformat(self.variables["STARTS_AT"]) - datetime.now(UTC)
                time.sleep(max(0.0, left.total_seconds() + 0.2))

    def ours(self, name: str) -> str:
        if name == "API":
            return self.api_url
        assert name == "STARTS_AT", f"the page gives ${name}, of which nothing is known here"
        return f"{datetime.now(UTC) + _STARTS_IN + timedelta(minutes=1):%Y-%m-%dT%H:%M:00Z}"

    def ask(self, shown: Exchange) -> None:
        """What is only read may be as the page shows it a moment later."""
        request = shown.request(self.variables)
        deadline = time.monotonic() + (_PATIENCE_SECONDS if request.method == "GET" else 0)
        while True:
            real = sent(request)
            different = list(self.differences(shown, real))
            if not different:
                self.answer = real.json()
                return
            assert time.monotonic() < deadline, "\n".join([shown.curl, *different])
            time.sleep(0.1)

    def differences(self, shown: Exchange, real: httpx.Response) -> list[str]:
        if shown.status != real.status_code:
            return [f"the page has {shown.status}, the answer {real.status_code}: {real.text}"]
        headers = {name: real.headers.get(name) for name in shown.headers}
        return [
            *self.likeness.differences(shown.headers, headers, "headers"),
            *self.likeness.differences(shown.body, real.json()),
        ]


def test_walkthrough_matches_the_page(stack: Stack, services_loop: asyncio.Runner) -> None:
    walk = Walk(stack.api_url, services_loop.run)
    for step in steps(SECTION):
        walk.take(step)
    assert walk.answer["type"] == "urn:holdfast:problem:booking-closed", "the page was not walked to its end"


SHOWN = {"id": "0b7d5f0e-8a1c-4a63-9d1e-6a2f4f3b7c22", "at": "2026-03-02T17:30:00Z", "n": 1, "all": [True, None]}
REAL = {"id": "11111111-8a1c-4a63-9d1e-6a2f4f3b7c22", "at": "2030-01-01T00:00:00Z", "n": 1, "all": [True, None]}


def test_generated_values_may_differ() -> None:
    assert list(Comparison().differences(SHOWN, REAL)) == []
    assert list(Comparison().differences({"n": 1, "…": "…"}, REAL)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"n": 2},
        {"n": True},
        {"n": "1"},
        {"id": "ada"},
        {"at": None},
        {"at": "2030-01-01"},
        {"all": [True]},
        {"all": [1, None]},
        {"more": 1},
    ],
)
def test_other_values_may_not_differ(change: dict[str, Any]) -> None:
    assert list(Comparison().differences(SHOWN, REAL | change))


def test_ids_are_consistent_across_the_page() -> None:
    other = "22222222-8a1c-4a63-9d1e-6a2f4f3b7c22"
    assert list(Comparison().differences([SHOWN["id"], SHOWN["id"]], [REAL["id"], other]))
    assert list(Comparison().differences([SHOWN["id"], other], [REAL["id"], REAL["id"]]))


def test_request_without_a_response_is_found() -> None:
    with pytest.raises(AssertionError, match="no response is shown"):
        list(steps("```sh\ncurl one\n```\n\n```sh\ncurl two\n```\n"))
