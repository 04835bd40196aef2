"""The mail catcher as a process of the stack."""

from pathlib import Path

from sandbox.stack.commands import Command
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.ports import LOOPBACK, free_port
from sandbox.stack.probes import http_ok
from sandbox.stack.processes import Process


class Mailbox:
    """Listens on two loopback ports. Its mails are in `directory` and survive a kill -9."""

    def __init__(self, directory: Path, *, log: Path, port: int | None = None, smtp_port: int | None = None) -> None:
        port = port or free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self.smtp_port = smtp_port or free_port()
        arguments = ["--host", LOOPBACK, "--port", str(port), "--smtp-port", str(self.smtp_port)]
        arguments += ["--state", str(directory)]
        self.process = Process(
            name="mailbox",
            command=Command(argv=python("-m", "sandbox.mail", *arguments), env=child_environment({}), cwd=PROJECT_ROOT),
            ready=http_ok(f"{self.url}/health"),
            log=log,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The settings that make the worker send its mails here."""
        return {
            "HOLDFAST_SMTP_HOST": LOOPBACK,
            "HOLDFAST_SMTP_PORT": str(self.smtp_port),
            "HOLDFAST_SMTP_SECURITY": "none",
            "HOLDFAST_MAIL_FROM": "Holdfast <no-reply@holdfast.example>",
        }

    async def start(self) -> None:
        """Raises: StartupError."""
        await self.process.start()

    async def stop(self) -> None:
        await self.process.stop()
