"""The images without an engine: the files that a stage of the Dockerfile copies, and Compose's commands among them."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.stack.commands import Command, User, run_to_end
from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.ports import LOOPBACK, free_port
from sandbox.stack.probes import http_ok
from sandbox.stack.processes import Process
from tests.compose import services

_DOCKERFILE = (PROJECT_ROOT / "Dockerfile").read_text()
_SITE_PACKAGES = sysconfig.get_path("purelib")
_PORT = re.compile(r"(?<![\w.])(?:([\w-]+|[\d.]+):)?(8000|9090|8020|8025|1025)(?!\d)")
"""A port of a container, and the host before it, if there is one."""

PRODUCT, SANDBOX = "product", "sandbox"


def _stages() -> dict[str, str]:
    """The stages by name. The last one, which has none, is the product."""
    parts = re.split(r"^FROM ", _DOCKERFILE, flags=re.MULTILINE)[1:]
    named = re.compile(r"\S+ AS (\w+)\n")
    return {(match[1] if (match := named.match(part)) else PRODUCT): part for part in parts}


@contextmanager
def laid_out(stage: str) -> Iterator[Path]:
    """A directory with what the stage copies from the build context, and `.dockerignore` lets into it."""
    allowed = re.findall(r"^!(.+)$", (PROJECT_ROOT / ".dockerignore").read_text(), re.MULTILINE)
    tree = Path(tempfile.mkdtemp(prefix="holdfast-image-"))
    tree.chmod(0o755)
    for sources in re.findall(r"^COPY (?!--)(.+) \S+$", _stages()[stage], re.MULTILINE):
        for source in sources.split():
            assert source in allowed
            original = PROJECT_ROOT / source
            if original.is_dir():
                shutil.copytree(original, tree / source, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(original, tree / source)
    yield tree
    shutil.rmtree(tree)


def _user() -> User | None:
    """The images' user, if the tests run as root and the user can read the installed packages."""
    [(uid, gid)] = {*re.findall(r"^USER (\d+):(\d+)$", _DOCKERFILE, re.MULTILINE)}
    user = User(uid=int(uid), gid=int(gid))
    if os.geteuid() != 0:
        return None
    can_read = subprocess.run(["/bin/ls", _SITE_PACKAGES], user=user.uid, group=user.gid, capture_output=True)
    return user if can_read.returncode == 0 else None


USER = _user()


def _python() -> str:
    """An interpreter of this version that the user may start: this one may be in root's home directory."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/python{version}"):
        try:
            started = subprocess.run([candidate, "-c", ""], user=USER.uid if USER else None, capture_output=True)
        except OSError:
            continue
        if started.returncode == 0:
            return candidate
    pytest.fail(f"user {USER} can start no Python {version}")


def command(tree: Path, words: list[str], settings: Mapping[str, str]) -> Command:
    """A command in an image, with the Dockerfile's environment and these settings."""
    program, *arguments = words
    module = [] if program == "python" else ["-m", program]
    return Command(
        argv=[_python(), *module, *arguments],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": f"{tree}:{_SITE_PACKAGES}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **settings,
        },
        cwd=tree,
        user=USER,
    )


def words_of(service: str) -> list[str]:
    words: list[str] | None = services()[service].get("command")
    if words is None:
        [default] = re.findall(r"^CMD (\[.+\])$", _DOCKERFILE.replace("\\\n", ""), re.MULTILINE)
        words = json.loads(default)
    return words


class Service:
    """A service of `docker-compose.yml` on free ports of this machine.

    `others` are the services that it reaches by their names, `volumes` the directories in place of its volumes.
    """

    def __init__(
        self,
        name: str,
        tree: Path,
        settings: Mapping[str, str],
        log: Path,
        others: Mapping[str, "Service"] | None = None,
        volumes: Mapping[str, Path] | None = None,
    ) -> None:
        self._tree = tree
        self._volumes = volumes or {}
        self._others = others or {}
        self._ports = {port: str(free_port()) for port in ("8000", "9090", "8020", "8025", "1025")}
        kind, *self._health_check = services()[name]["healthcheck"]["test"]
        assert kind == "CMD"
        [url] = re.findall(r"http://[^']+", " ".join(self._health_check))
        self.process = Process(
            name=name,
            command=command(tree, [self.local(word) for word in words_of(name)], self._localized(settings)),
            ready=http_ok(self.local(url)),
            log=log / name,
        )

    def local(self, text: str) -> str:
        """The same, with ports of this machine in place of the containers'."""

        def on_this_machine(match: re.Match[str]) -> str:
            host, port = match.groups()
            if host in self._others:
                return f"{LOOPBACK}:{self._others[host]._ports[port]}"
            return f"{LOOPBACK}:{self._ports[port]}" if host else self._ports[port]

        for path, directory in self._volumes.items():
            text = text.replace(path, str(directory))
        return _PORT.sub(on_this_machine, text)

    def _localized(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Only addresses: a secret or the port of a server on this machine may have the same digits."""
        own = ("_METRICS_ADDRESS", "STRIPE_API_BASE", "HOLDFAST_SMTP_PORT")
        return {name: self.local(value) if name.endswith(own) else value for name, value in settings.items()}

    async def check_health(self) -> None:
        """Raises `StartupError` if the service's health check fails."""
        words = [self.local(word) for word in self._health_check]
        await run_to_end("health check", command(self._tree, words, {}))
