"""`docs/operations/pin-images.sh`, with a `docker` that answers as buildx does."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.stack.environment import PROJECT_ROOT
from tests.compose import services

_SCRIPT = "docs/operations/pin-images.sh"
_DOCKER = """#!/bin/sh
[ "$1 $2 $3" = "buildx imagetools inspect" ] || exit 1
[ "$4" != "${UNKNOWN:-}" ] || { echo "$4: not found" >&2; exit 1; }
printf 'sha256:%s\\n' "$(printf %s "$4$SALT" | sha256sum | cut -c1-64)"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("docker-compose.yml", "Dockerfile", _SCRIPT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT_ROOT / name, tmp_path / name)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(_DOCKER)
    docker.chmod(0o755)
    return tmp_path


def _pin(checkout: Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [checkout / _SCRIPT], env={"PATH": path, "SALT": ""} | env, capture_output=True, text=True, check=False
    )


def _images() -> set[str]:
    from_registry = {service["image"] for service in services().values() if not service["image"].startswith("holdfast")}
    return from_registry | set(re.findall(r"^FROM (\S+:\S+)", (PROJECT_ROOT / "Dockerfile").read_text(), re.MULTILINE))


def test_every_image_is_pinned_by_its_digest(checkout: Path) -> None:
    assert _pin(checkout).returncode == 0
    text = (checkout / "docker-compose.yml").read_text() + (checkout / "Dockerfile").read_text()
    assert set(re.findall(r"([a-z0-9./-]+:[a-z0-9.-]+)@sha256:[0-9a-f]{64}", text)) == _images()
    for image in _images():
        assert f"{image}@sha256:{hashlib.sha256(image.encode()).hexdigest()}" in text
        assert f"{image}\n" not in text


def test_pins_are_replaced_and_nothing_else_changes(checkout: Path) -> None:
    originals = {name: (checkout / name).read_text() for name in ("docker-compose.yml", "Dockerfile")}
    _pin(checkout, SALT="old")
    _pin(checkout, SALT="new")
    for name, original in originals.items():
        pinned = (checkout / name).read_text()
        assert hashlib.sha256(b"postgres:18.4old").hexdigest() not in pinned
        assert re.sub(r"@sha256:[0-9a-f]{64}", "", pinned) == original


def test_image_that_the_registry_does_not_have_stops_the_script(checkout: Path) -> None:
    assert _pin(checkout, UNKNOWN="postgres:18.4").returncode != 0
