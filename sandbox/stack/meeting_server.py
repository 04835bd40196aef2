"""The meeting sandbox, which stands in for a Jitsi server, as a process of the stack."""

import secrets
from pathlib import Path
from typing import Final

from sandbox.stack.commands import Command
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.ports import LOOPBACK
from sandbox.stack.probes import http_ok
from sandbox.stack.processes import Process

_APP_ID: Final = "holdfast"


class MeetingServer:
    """Listens on a loopback port, with generated secrets, and sends its events to `webhook_url`."""

    def __init__(self, webhook_url: str, *, log: Path, port: int) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self._secrets = {
            "HOLDFAST_JITSI_APP_ID": _APP_ID,
            "HOLDFAST_JITSI_SECRET": secrets.token_urlsafe(32),
            "HOLDFAST_MEETING_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(16)}",
        }
        self.process = Process(
            name="meeting",
            command=Command(
                argv=python("-m", "sandbox.meeting", "--port", str(port), "--webhook", webhook_url),
                env=child_environment(self._secrets),
                cwd=PROJECT_ROOT,
            ),
            ready=http_ok(f"{self.url}/_sandbox/health"),
            log=log,
        )

    @property
    def settings(self) -> dict[str, str]:
        """The settings that make the API use this server."""
        return {"HOLDFAST_MEETING_PROVIDER": "jitsi", "HOLDFAST_JITSI_URL": self.url, **self._secrets}
