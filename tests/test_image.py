"""The image's files are enough for every command that Compose runs in it, as its user and with its settings.

No engine is needed: the files that the Dockerfile copies are laid out in an empty directory that the user cannot write.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from temporalio.client import Client

from sandbox.stack.commands import Command, StartupError, User, run_to_end
from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.ports import LOOPBACK, free_port
from sandbox.stack.postgres import Postgres
from sandbox.stack.probes import http_ok
from sandbox.stack.processes import Process
from tests.compose import environment, services
from tests.databases import create_database, drop_database
from workflows.client.schedules import SCHEDULE

_DOCKERFILE = (PROJECT_ROOT / "Dockerfile").read_text()
_SITE_PACKAGES = sysconfig.get_path("purelib")
_DATABASE = "holdfast_image"


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """What the last stage of the Dockerfile copies from the build context, and `.dockerignore` lets into it."""
    allowed = re.findall(r"^!(.+)$", (PROJECT_ROOT / ".dockerignore").read_text(), re.MULTILINE)
    tree = Path(tempfile.mkdtemp(prefix="holdfast-image-"))
    tree.chmod(0o755)
    for sources in re.findall(r"^COPY (?!--)(.+) \S+$", _DOCKERFILE.rpartition("\nFROM ")[2], re.MULTILINE):
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
    """The image's user, if the tests run as root and the user can read the installed packages."""
    [(uid, gid)] = re.findall(r"^USER (\d+):(\d+)$", _DOCKERFILE, re.MULTILINE)
    user = User(uid=int(uid), gid=int(gid))
    if os.geteuid() != 0:
        return None
    can_read = subprocess.run(["/bin/ls", _SITE_PACKAGES], user=user.uid, group=user.gid, capture_output=True)
    return user if can_read.returncode == 0 else None


_USER = _user()


def _python() -> str:
    """An interpreter of this version that the user may start: this one may be in root's home directory."""
    version = "{}.{}".format(*sys.version_info)
    for candidate in (sys.executable, f"/usr/bin/python{version}"):
        try:
            started = subprocess.run([candidate, "-c", ""], user=_USER.uid if _USER else None, capture_output=True)
        except OSError:
            continue
        if started.returncode == 0:
            return candidate
    pytest.fail(f"user {_USER} can start no Python {version}")


def _command(image: Path, words: list[str], settings: Mapping[str, str]) -> Command:
    """A command of the image. Its environment is the Dockerfile's, and the service's."""
    program, *arguments = words
    module = [] if program == "python" else ["-m", program]
    return Command(
        argv=[_python(), *module, *arguments],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": f"{image}:{_SITE_PACKAGES}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **settings,
        },
        cwd=image,
        user=_USER,
    )


def _words(service: str) -> list[str]:
    command: list[str] | None = services()[service].get("command")
    if command is None:
        [default] = re.findall(r"^CMD (\[.+\])$", _DOCKERFILE.replace("\\\n", ""), re.MULTILINE)
        command = json.loads(default)
    return command


def _settings(service: str, postgres: Postgres, **changes: str) -> dict[str, str]:
    """What Compose gives the service, with the addresses of this machine's servers in place of the containers'."""
    settings = environment(service)
    user = urlsplit(settings["DATABASE_URL"]).username
    url = postgres.url(_DATABASE)
    return settings | {"DATABASE_URL": url.replace(f"//{urlsplit(url).username}@", f"//{user}@")} | changes


@pytest.fixture(scope="module")
def migrated(services_loop: asyncio.Runner, postgres: Postgres, image: Path) -> Iterator[Postgres]:
    create_database(postgres, _DATABASE, template="template0")
    try:
        migrate = _command(image, _words("migrate"), _settings("migrate", postgres))
        services_loop.run(run_to_end("migrate", migrate))
        yield postgres
    finally:
        drop_database(postgres, _DATABASE)


class _Service:
    """A service of `docker-compose.yml` on free ports of this machine."""

    def __init__(self, name: str, image: Path, postgres: Postgres, temporal: Mapping[str, str], log: Path) -> None:
        self._image = image
        self._ports = {"8000": str(free_port()), "9090": str(free_port())}
        [metrics_setting] = (setting for setting in environment(name) if setting.endswith("_METRICS_ADDRESS"))
        metrics = {metrics_setting: f"{LOOPBACK}:{self._ports['9090']}"}
        kind, *self._health_check = services()[name]["healthcheck"]["test"]
        assert kind == "CMD"
        [url] = re.findall(r"http://[^']+", " ".join(self._health_check))
        self.process = Process(
            name=name,
            command=_command(image, self._local(_words(name)), _settings(name, postgres, **temporal, **metrics)),
            ready=http_ok(*self._local([url])),
            log=log / name,
        )

    def _local(self, words: list[str]) -> list[str]:
        return [re.sub(r"(?<!\d)(8000|9090)(?!\d)", lambda port: self._ports[port[0]], word) for word in words]

    async def check_health(self) -> None:
        """Raises `StartupError` if the service's health check fails."""
        await run_to_end("health check", _command(self._image, self._local(self._health_check), {}))


def _files(tree: Path) -> set[Path]:
    return set(tree.rglob("*"))


async def test_api_and_worker_run_as_the_restricted_role(
    image: Path, migrated: Postgres, temporal_address: str, tmp_path: Path
) -> None:
    before = _files(image)
    temporal = {"TEMPORAL_ADDRESS": temporal_address, "TEMPORAL_NAMESPACE": "default", "HOLDFAST_TASK_QUEUE": "image"}
    both = [_Service(name, image, migrated, temporal, tmp_path) for name in ("api", "worker")]
    try:
        await asyncio.gather(*(service.process.start() for service in both))
        await asyncio.gather(*(service.check_health() for service in both))
        with psycopg.connect(migrated.conninfo(_DATABASE)) as connection:
            connected = connection.execute(
                "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                [_DATABASE],
            )
            assert connected.fetchall() == [("holdfast_program",)]
    finally:
        await asyncio.gather(*(service.process.stop() for service in both))
        # The worker's. The other tests have no use for it.
        await (await Client.connect(temporal_address)).get_schedule_handle(SCHEDULE).delete()
    # uvicorn stops, and raises the signal again.
    assert [await service.process.exited() for service in both] == ["SIGTERM", "exit code 0"]
    assert _files(image) == before


async def test_operators_are_added_by_the_owner_and_get_tokens_from_the_api(image: Path, migrated: Postgres) -> None:
    operators = ["python", "-m", "api.people.operators"]
    add = _command(image, [*operators, "add", "--name", "Ada"], _settings("migrate", migrated))
    [operator_id] = re.findall(r"[0-9a-f-]{36}", await run_to_end("add", add))
    token = _command(image, [*operators, "token", "--id", operator_id, "--hours", "8"], _settings("api", migrated))
    assert re.search(r"^ey\S+$", await run_to_end("token", token), re.MULTILINE)


_IMPORT_ALL = """
import re, sys, importlib.metadata as metadata

locked = set(sys.argv[1].split())
installed = metadata.packages_distributions()
missing = {
    package for package, names in installed.items()
    if not any(re.sub("[-_.]+", "-", name).lower() in locked for name in names)
}

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"{name} is not in the lock", name=name)

sys.meta_path.insert(0, Missing())
import alembic.config, api.main, api.people.operators, uvicorn, worker
"""


async def test_production_lock_is_enough_for_every_import(image: Path) -> None:
    locked = re.findall(r"^([a-z0-9.-]+)==", (PROJECT_ROOT / "requirements.production.lock").read_text(), re.MULTILINE)
    await run_to_end("imports", _command(image, ["python", "-c", _IMPORT_ALL, " ".join(locked)], {}))
    without = " ".join(set(locked) - {"stripe"})
    with pytest.raises(StartupError, match="stripe is not in the lock"):
        await run_to_end("imports", _command(image, ["python", "-c", _IMPORT_ALL, without], {}))
