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
from typing import IO

import pytest

from sandbox.stack.environment import PROJECT_ROOT

_PAGE = (PROJECT_ROOT / "docs" / "quickstart.md").read_text()
_UP, _ADDRESS, _CLIENT, *_REST = re.findall(r"^```sh\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
[_PRINTED] = re.findall(r"^```text\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
_INSTALL = "venv/bin/pip install ./holdfast-client standardwebhooks mcp\n"
"""The one command that is left out, since it needs a registry. What it installs is found on the path instead."""
_VENV = "python3 -m venv venv\n"


@contextmanager
def _up(checkout: Path) -> Iterator[IO[str]]:
    process = subprocess.Popen(["sh", "-c", f"exec {_UP}"], cwd=checkout, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process.stdout
    finally:
        process.send_signal(signal.SIGINT)
        try:
            # The worker may take 35 seconds, and each of the others ten.
            process.communicate(timeout=60)
        finally:
            process.kill()  # its children end with it


def _address(printed: IO[str]) -> str:
    rows = (re.match(r"  API and pages +(\S+)$", line.rstrip()) for line in printed)
    address = next((row[1] for row in rows if row), None)
    assert address, "it did not start; the reason is on stderr"
    return address


@pytest.mark.timeout(300)
def test_quickstart_receives_a_webhook_and_books_with_client_and_agent(tmp_path: Path) -> None:
    checkout = tmp_path / "holdfast"
    shutil.copytree(PROJECT_ROOT, checkout, ignore=shutil.ignore_patterns(".*"))
    (checkout / ".venv").symlink_to(sys.prefix)
    # What is installed here is what the copy has locked, so that it installs nothing.
    shutil.copy(Path(sys.prefix) / "requirements.lock", checkout)
    installed = os.pathsep.join([sysconfig.get_path("purelib"), str(checkout / "holdfast-client")])

    def run(script: str) -> str:
        ran = subprocess.run(
            ["sh", "-euc", script],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": installed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    assert _CLIENT.endswith(_VENV + _INSTALL)
    with _up(checkout) as printed:
        # Meanwhile the stack starts. Without pip, which installs nothing here, a venv is made at once.
        run(_CLIENT.removesuffix(_VENV + _INSTALL) + _VENV.replace("venv venv", "venv --without-pip venv"))
        address = re.sub("(?<=API=).+", _address(printed), _ADDRESS)
        output = run("\n".join([address, *_REST]))
    shown = re.escape(_PRINTED).replace("…", ".*")
    assert re.search(f"{shown}\\Z", output), output
