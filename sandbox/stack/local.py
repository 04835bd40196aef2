"""The directory `.local/`, where `./run up` keeps its lock and its token secret for the other commands."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.postgres import delete_outside
from sandbox.stack.stripe_choice import StackRefusedError


@dataclass(frozen=True)
class LocalSecrets:
    """What the commands beside a running stack need."""

    token_secret: str
    database_url: str
    """The owner's."""


class StackDirectory:
    """A directory that at most one running stack may use."""

    def __init__(self, directory: Path) -> None:
        self.state: Final = directory / "stack"
        self._directory = directory
        self._secrets = directory / "secrets.json"

    def delete_state(self) -> None:
        """Delete the data of earlier stacks, and what they chose."""
        delete_outside(self.state / "postgres")
        shutil.rmtree(self.state, ignore_errors=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the directory for the running stack. A kill -9 releases the lock, too.

        Raises:
            StackRefusedError: another stack holds the lock.
        """
        with self._try_lock() as acquired:
            if not acquired:
                raise StackRefusedError("A stack of this checkout is running already. Stop that `./run up` first.")
            try:
                yield
            finally:
                self._secrets.unlink(missing_ok=True)

    def write_secrets(self, secrets: LocalSecrets) -> None:
        """Store the running stack's secrets, readable by this user only."""
        write_atomically(self._secrets, json.dumps(asdict(secrets)), mode=0o600)

    def read_secrets(self) -> LocalSecrets:
        """The running stack's secrets.

        Raises:
            StackRefusedError: no stack is running.
        """
        with self._try_lock() as acquired:
            if acquired or not self._secrets.exists():
                raise StackRefusedError("No stack of this checkout is running. Start one with `./run up`.")
        return LocalSecrets(**json.loads(self._secrets.read_text()))

    @contextmanager
    def _try_lock(self) -> Iterator[bool]:
        """Try to take the lock; yields whether that worked. The kernel releases it when its holder dies."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


THIS_CHECKOUT: Final = StackDirectory(PROJECT_ROOT / ".local")


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file so that a reader sees either all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    # Set the mode at creation, so that a secret is never readable by others, not even briefly.
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    temporary.replace(path)
