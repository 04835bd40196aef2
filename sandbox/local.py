"""What `./run up` leaves for the other commands in `.local/`: who is running, and the secret of its tokens."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sandbox.environment import PROJECT_ROOT
from sandbox.stripe_choice import StackRefusedError

LOCAL: Final = PROJECT_ROOT / ".local"
STATE: Final = LOCAL / "stack"
_LOCK: Final = LOCAL / "lock"
_SECRETS: Final = LOCAL / "secrets.json"


@contextmanager
def only_stack() -> Iterator[None]:
    """Hold the place of this checkout's one running stack. A kill -9 gives it up, too.

    Raises:
        StackRefusedError: another `./run up` of this checkout is running.
    """
    with _locked() as got_it:
        if not got_it:
            raise StackRefusedError("A stack of this checkout is running already. Stop that `./run up` first.")
        try:
            yield
        finally:
            _SECRETS.unlink(missing_ok=True)


def write_token_secret(secret: str) -> None:
    """Keep the running stack's token secret where only this user can read it."""
    write_atomically(_SECRETS, json.dumps({"token_secret": secret}), mode=0o600)


def read_token_secret() -> str:
    """The running stack's token secret.

    Raises:
        StackRefusedError: no stack is running.
    """
    with _locked() as nobody_has_it:
        if nobody_has_it or not _SECRETS.exists():
            raise StackRefusedError("No stack of this checkout is running. Start one with `./run up`.")
    secret: str = json.loads(_SECRETS.read_text())["token_secret"]
    return secret


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file that a reader sees whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    # The mode is given at creation, so that a secret is never readable for a moment.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    draft.replace(path)


@contextmanager
def _locked() -> Iterator[bool]:
    """Try to take the lock, and say whether that worked. The kernel frees it when its holder dies."""
    LOCAL.mkdir(exist_ok=True)
    with _LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
