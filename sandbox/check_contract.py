"""`./run check`: do the linters and generators that integrators use take the OpenAPI document?

They are npm packages, pinned here, which `npx` gets from the registry. Without Node.js, or where the registry cannot be
reached, they do not run, and the output says so. In CI, that is a failure.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from sandbox.contract import document

_REDOCLY: Final = "@redocly/cli@2.77.0"
_SPECTRAL: Final = "@stoplight/spectral-cli@6.16.3"
_TYPES: Final = "openapi-typescript@7.13.0"
_CLIENT: Final = "@hey-api/openapi-ts@0.90.0"
_TYPESCRIPT: Final = "typescript@5.9.3"
"""Which the two generators want beside them."""
_OLDEST_NODE: Final = (20, 19)
_SYSTEM_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
"""Debian's."""
_TIMEOUT_SECONDS: Final = 300

# Whoever runs the API has a license and a contact of their own. The third rule does not see that the `required` in an
# `if` is about the properties beside it.
_REDOCLY_CONFIG: Final = """\
extends: [recommended]
rules:
  info-license: off
  no-required-schema-properties-undefined: off
"""
_SPECTRAL_RULESET: Final = """\
extends: ["spectral:oas"]
rules:
  info-contact: off
"""
_PROGRAMS: Final = {
    _REDOCLY: ("redocly", "lint", "openapi.json", "--config", "redocly.yaml", "--format", "stylish"),
    _SPECTRAL: ("spectral", "lint", "openapi.json", "--ruleset", "spectral.yaml", "--fail-severity", "warn"),
    _TYPES: ("openapi-typescript", "openapi.json", "--output", "types.ts"),
    _CLIENT: ("openapi-ts", "--input", "openapi.json", "--output", "client"),
}


class Unavailable(Exception):
    """The programs cannot run here. The message says why."""


def check(schema: dict[str, object]) -> list[str]:
    """Returns the programs that do not take the document. Raises `Unavailable`."""
    _check_node()
    with tempfile.TemporaryDirectory(prefix="holdfast-contract-") as directory:
        place = Path(directory)
        # Indented, or the linters show the whole document as the line of each finding.
        (place / "openapi.json").write_text(json.dumps(schema, indent=1))
        (place / "redocly.yaml").write_text(_REDOCLY_CONFIG)
        (place / "spectral.yaml").write_text(_SPECTRAL_RULESET)
        return [package for package, command in _PROGRAMS.items() if not _passes(package, command, place)]


def _check_node() -> None:
    if not (shutil.which("node") and shutil.which("npx")):
        raise Unavailable("there is no Node.js on the PATH")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < _OLDEST_NODE:
        raise Unavailable(f"Node.js is {version.strip()}, and Redocly CLI needs {'.'.join(map(str, _OLDEST_NODE))}")


def _passes(package: str, command: tuple[str, ...], place: Path) -> bool:
    # Both would report home, and Redocly CLI that there is a newer version.
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "npm_config_loglevel": "error"}
    npx = ["npx", "--yes", f"--package={package}", f"--package={_TYPESCRIPT}", "--"]
    # A company's package mirror often has a certificate of the company, which Node.js does not look for by itself.
    environment = os.environ | quiet
    if Path(_SYSTEM_CERTIFICATES).exists():
        environment.setdefault("NODE_EXTRA_CA_CERTS", _SYSTEM_CERTIFICATES)
    version = [*npx, command[0], "--version"]
    try:
        got = subprocess.run(version, cwd=place, env=environment, capture_output=True, timeout=_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"npx did not get {package} in time") from error
    if got.returncode:
        raise Unavailable(f"npx cannot get {package}: {got.stderr.decode().strip()[-300:]}")
    linted = subprocess.run([*npx, *command], cwd=place, env=environment, check=False, timeout=_TIMEOUT_SECONDS)
    return linted.returncode == 0


def main() -> int:
    try:
        failed = check(asyncio.run(document()))
    except Unavailable as why:
        print(f"The OpenAPI document is not checked: {why}.", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    if failed:
        print(f"Refused by: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
