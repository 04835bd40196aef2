"""`./run client`: an installable Python client, generated from the OpenAPI document. Nothing of it is committed."""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from sandbox.contract import document

PACKAGE: Final = "holdfast_client"
_CONFIG: Final = {
    "project_name_override": "holdfast-client",
    "package_name_override": PACKAGE,
    # By default it formats its output with any tools that it finds.
    "post_hooks": [],
    # It has no type for PDF, so it returns the bytes.
    "content_type_overrides": {"application/pdf": "application/octet-stream"},
}


class NotGenerated(Exception):
    """The message is the generator's."""


def generate(schema: dict[str, Any], folder: Path) -> None:
    """Write the package into `folder`, over an earlier one. Raises `NotGenerated`, also for a mere warning."""
    with tempfile.TemporaryDirectory(prefix="holdfast-client-") as directory:
        place = Path(directory)
        (place / "openapi.json").write_text(json.dumps(_with_plain_streams(schema)))
        (place / "config.json").write_text(json.dumps(_CONFIG))
        command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "setup", "--fail-on-warning"]
        files = ["--path", "openapi.json", "--config", "config.json", "--output-path", str(folder), "--overwrite"]
        made = subprocess.run([*command, *files], cwd=place, capture_output=True, text=True, check=False)
    if made.returncode:
        raise NotGenerated(made.stdout + made.stderr)


def _with_plain_streams(schema: dict[str, Any]) -> dict[str, Any]:
    """The generated client reads a stream to its end, so what it returns is text, and not one event."""
    copy: dict[str, Any] = json.loads(json.dumps(schema))
    for operations in copy["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                if stream := response.get("content", {}).get("text/event-stream"):
                    stream["schema"] = {"type": "string"}
    return copy


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run client", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("holdfast-client"), help="default: ./holdfast-client")
    folder: Path = parser.parse_args().output
    try:
        generate(asyncio.run(document()), folder.resolve())
    except NotGenerated as failure:
        print(failure, file=sys.stderr)
        return 1
    print(f"Install it with: pip install {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
