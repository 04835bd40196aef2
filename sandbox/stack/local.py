"""What `./run up` leaves for the other commands in `.local/`: who is running, and the secret of its tokens."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.stripe_choice import StackRefusedError


class LocalPlace:
    """A directory with at most one running stack."""

    def __init__(self, directory: Path) -> None:
        self.state: Final = directory / "stack"
        self._directory = directory
        self._secrets = directory / "secrets.json"

    @contextmanager
    def only_stack(self) -> Iterator[None]:
        """Hold the place for the one running stack. A kill -9 gives it up, too.

        Raises:
            StackRefusedError: another stack has it.
        """
        with self._locked() as got_it:
            if not got_it:
                raise StackRefusedError("A stack of this checkout is running already. Stop that `./run up` first.")
            try:
                yield
            finally:
                self._secrets.unlink(missing_ok=True)

    def write_token_secret(self, secret: str) -> None:
        """Keep the running stack's token secret where only this user can read it."""
        write_atomically(self._secrets, json.dumps({"token_secret": secret}), mode=0o600)

    def read_token_secret(self) -> str:
        """The running stack's token secret.

        Raises:
            StackRefusedError: no stack is running.
        """
        with self._locked() as nobody_has_it:
            if nobody_has_it or not self._secrets.exists():
                raise StackRefusedError("No stack of this checkout is running. Start one with `./run up`.")
        secret: str = json.loads(self._secrets.read_text())["token_secret"]
        return secret

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Try to take the lock, and say whether that worked. The kernel frees it when its holder dies."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


THIS_CHECKOUT: Final = LocalPlace(PROJECT_ROOT / ".local")


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file that a reader sees whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    # The mode is given at creation, so that a secret is never readable for a moment.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    draft.replace(path)
