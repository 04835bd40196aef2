"""What a stack has chosen at its first start, in a file, so that the next start on the same data has it again."""

import json
import secrets
from pathlib import Path

from sandbox.stack.local import write_atomically
from sandbox.stack.ports import LOOPBACK, free_port, is_free
from sandbox.stack.stripe_choice import StackRefusedError


class KeptValues:
    """Ports and secrets by name. The file is readable by this user only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def port(self, name: str) -> int:
        """Raises: StackRefusedError: another program has taken the port since the last start."""
        port = int(self.first(f"port of {name}", str(free_port())))
        if not is_free(port):
            raise StackRefusedError(
                f"Port {port}, which {name} had at the last start, is in use. End what uses it, or start anew with "
                "`./run up --fresh`."
            )
        return port

    def url(self, name: str) -> str:
        return f"http://{LOOPBACK}:{self.port(name)}"

    def secret(self, name: str) -> str:
        return self.first(f"secret of {name}", secrets.token_urlsafe(32))

    def first(self, name: str, value: str) -> str:
        """The value that was kept under this name first: `value`, if there was none."""
        if name not in self._values:
            self._values[name] = value
            write_atomically(self._path, json.dumps(self._values, indent=2), mode=0o600)
        return self._values[name]
