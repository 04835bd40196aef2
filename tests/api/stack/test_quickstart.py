"""The commands of `docs/quickstart.md`, as they are written, in a copy of the checkout with a stack of its own."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.stack.environment import PROJECT_ROOT

_PAGE = (PROJECT_ROOT / "docs" / "quickstart.md").read_text()
_UP, _ADDRESS, *_REST = re.findall(r"^```sh\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
[_PRINTED] = re.findall(r"^```text\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
_INSTALL = "venv/bin/pip install ./holdfast-client standardwebhooks mcp\n"
"""The one command that is left out, since it needs a registry. What it installs is found on the path instead."""


@contextmanager
def _up(checkout: Path) -> Iterator[str]:
    """Yields the address that the table has."""
    process = subprocess.Popen(["sh", "-c", f"exec {_UP}"], cwd=checkout, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        rows = (re.match(r"  API +(\S+)$", line.rstrip()) for line in process.stdout)
        address = next((row[1] for row in rows if row), None)
        assert address, "it did not start; the reason is on stderr"
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.mark.timeout(300)
def test_quickstart_receives_a_webhook_and_books_with_client_and_agent(tmp_path: Path) -> None:
    checkout = tmp_path / "holdfast"
    shutil.copytree(PROJECT_ROOT, checkout, ignore=shutil.ignore_patterns(".*"))
    (checkout / ".venv").symlink_to(sys.prefix)
    # What is installed here is what the copy has locked, so that it installs nothing.
    shutil.copy(Path(sys.prefix) / "requirements.lock", checkout)
    with _up(checkout) as api:
        script = "\n".join([re.sub("(?<=API=).+", api, _ADDRESS), *_REST])
        assert _INSTALL in script
        installed = os.pathsep.join([sysconfig.get_path("purelib"), str(checkout / "holdfast-client")])
        ran = subprocess.run(
            ["sh", "-euc", script.replace(_INSTALL, "")],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": installed},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    shown = re.escape(_PRINTED).replace("…", ".*")
    assert re.search(f"{shown}\\Z", ran.stdout), ran.stdout
