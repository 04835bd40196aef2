"""Finds a Chromium, or installs one: Playwright's own, or Debian's package where this runs as root."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_TIMEOUT_SECONDS: Final = 300


class NoBrowserError(RuntimeError):
    """There is none, and none could be installed. The message has the command to run."""


def chromium_program() -> Path:
    """Raises: NoBrowserError."""
    # Several processes of tests start at once: one installs, the others wait and find it.
    with (Path(tempfile.gettempdir()) / f"holdfast-chromium-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _found() or _downloaded() or _packaged() or _fail()


def _found() -> Path | None:
    return next((Path(path) for name in _PROGRAMS if (path := shutil.which(name))), None)


def _downloaded() -> Path | None:
    """Playwright's own, which may lack libraries of the system."""
    program = subprocess.run(
        [sys.executable, "-c", "import sandbox.browser.chromium as it; print(it.playwrights_path())"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    if not program:
        return None
    if not Path(program).exists():
        _run(sys.executable, "-m", "playwright", "install", "chromium")
    return Path(program) if Path(program).exists() and _run(program, "--version") else None


def playwrights_path() -> str:
    """In a process of its own: Playwright's synchronous API refuses to run in an event loop."""
    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def _packaged() -> Path | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    os.environ.setdefault("DEBIAN_FRONTEND", "noninteractive")
    _run("apt-get", "update", "--quiet")
    _run("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "chromium")
    return _found()


def _run(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _fail() -> Path:
    raise NoBrowserError(
        "The tests of the pages need a Chromium or Chrome, and none could be installed. Run\n"
        "    sudo apt install chromium\n"
        "or, on another system, install Chrome. `--without-browser` leaves these tests out."
    )
