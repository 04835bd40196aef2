"""Parses a page with requests, responses, and what people do in between, into steps."""

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.stack.ports import NO_TLS
from tests.api.world import JSON

ANYTHING = "…"
"""Stands for a value that is not shown. As a member's name, it stands for more members."""

_STEP = re.compile(
    r"""^```sh\n(?P<sh>.*?)^```$
    | ^```http\n(?P<http>.*?)^```$
    | `\$(?P<name>[A-Z_]+)`\sis\sthe\s`(?P<path>[^`]+)`
    | \*\*In\sa\sbrowser\*\*,[^`]*`(?P<link>[a-z_]+)`
    | (?P<begun>\*\*Once\sthe\ssession\shas\sbegun\*\*)""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
_ASSIGNMENT = re.compile(r"^([A-Z_]+)=(\S+)$", re.MULTILINE)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NEW_EACH_TIME = (
    re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z"),
    re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+"),
    re.compile(r"https?://\S+"),
    re.compile(r"[0-9a-f]{32}|[0-9a-f]{48}"),
    re.compile(r"pi_\w+"),
)
"""Patterns of values that are new in each run: times, tokens, page URLs, room names, request ids and Stripe's ids."""


@dataclass(frozen=True)
class Variables:
    """The page's own."""

    given: dict[str, str]


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    headers: dict[str, str]
    body: str | None


@dataclass(frozen=True)
class Exchange:
    curl: str
    """As it stands on the page, variables and all."""
    status: int
    headers: dict[str, str]
    body: JSON

    def request(self, variables: dict[str, str]) -> Request:
        """What curl would send. Raises `KeyError` for a variable that the page has not given yet."""
        arguments = _CURL.parse_args(_words(self.curl, variables)[1:])
        headers = dict(header.split(": ", 1) for header in arguments.H)
        if arguments.json is not None:
            headers |= {"Content-Type": "application/json", "Accept": "application/json"}
        return Request(
            arguments.X or ("GET" if arguments.json is None else "POST"), arguments.url, headers, arguments.json
        )


@dataclass(frozen=True)
class Naming:
    """From here on, the variable is what stands there in the last answer."""

    name: str
    path: str

    def value(self, answer: Any) -> str:
        for part in re.findall(r"\w+", self.path):
            answer = answer[int(part) if part.isdigit() else part]
        return str(answer)


@dataclass(frozen=True)
class Browsing:
    """Somebody opens this link of the last answer and does what the page asks."""

    link: str


@dataclass(frozen=True)
class Waiting:
    """Until the session has begun."""


Step = Variables | Exchange | Naming | Browsing | Waiting


def sent(request: Request) -> httpx.Response:
    return httpx.request(
        request.method,
        request.url,
        headers=request.headers,
        content=request.body,
        timeout=30,
        trust_env=False,
        verify=NO_TLS,
    )


_CURL = argparse.ArgumentParser(prog="curl", exit_on_error=False, add_help=False)
_CURL.add_argument("url")
_CURL.add_argument("-X")
_CURL.add_argument("-H", action="append", default=[])
_CURL.add_argument("--json")


def steps(page: str) -> Iterator[Step]:
    curl = ""
    for found in _STEP.finditer(page):
        if found["sh"] is not None and not found["sh"].startswith("curl "):
            yield Variables(dict(_ASSIGNMENT.findall(found["sh"])))
        elif found["sh"] is not None:
            assert not curl, f"no response is shown for {curl}"
            curl = found["sh"]
        elif found["http"] is not None:
            assert curl, f"there is no request before {found['http']}"
            yield _exchange(curl, found["http"])
            curl = ""
        elif found["name"] is not None:
            yield Naming(found["name"], found["path"])
        elif found["link"] is not None:
            yield Browsing(found["link"])
        else:
            yield Waiting()
    assert not curl, f"no response is shown for {curl}"


def _exchange(curl: str, answer: str) -> Exchange:
    head, _, body = answer.partition("\n\n")
    first, *headers = head.splitlines()
    return Exchange(curl, int(first.split()[1]), dict(line.split(": ", 1) for line in headers), json.loads(body))


def _words(command: str, variables: dict[str, str]) -> list[str]:
    """Split a command as a shell does. Single-quoted text is kept as it is."""
    parts = re.split("('[^']*')", command.replace("\\\n", " "))
    parts[::2] = [re.sub(r"\$([A-Z_]+)", lambda name: variables[name[1]], part) for part in parts[::2]]
    return shlex.split("".join(parts))


class Comparison:
    """Compares responses with the page. Each id of the page stands for one real id throughout."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def differences(self, shown: Any, real: Any, where: str = "") -> Iterator[str]:
        if shown == ANYTHING:
            return
        if isinstance(shown, dict) and isinstance(real, dict):
            members = shown.keys() - {ANYTHING}
            if not (members <= real.keys() if ANYTHING in shown else members == real.keys()):
                yield f"{where}: the page has {sorted(members)}, the response {sorted(real)}"
            for name in members & real.keys():
                yield from self.differences(shown[name], real[name], f"{where}/{name}")
        elif isinstance(shown, list) and isinstance(real, list) and len(shown) == len(real):
            for number, pair in enumerate(zip(shown, real, strict=True)):
                yield from self.differences(*pair, f"{where}/{number}")
        elif isinstance(shown, str) and isinstance(real, str):
            if not self._is_same_text(shown, real):
                yield f"{where}: the page has {shown}, the response {real}"
        elif (type(shown), shown) != (type(real), real):
            yield f"{where}: the page has {shown!r}, the response {real!r}"

    def _is_same_text(self, shown: str, real: str) -> bool:
        if shown in self.known:
            return self.known[shown] == real
        if any(sort.fullmatch(shown) for sort in _NEW_EACH_TIME):
            return any(sort.fullmatch(shown) and sort.fullmatch(real) for sort in _NEW_EACH_TIME)
        ids = _UUID.findall(shown), _UUID.findall(real)
        if len(ids[0]) != len(ids[1]) or _UUID.sub("", shown) != _UUID.sub("", real):
            return False
        for ours, theirs in zip(*ids, strict=True):
            if ours not in self.known and theirs in self.known.values():
                return False
            if self.known.setdefault(ours, theirs) != theirs:
                return False
        return True
