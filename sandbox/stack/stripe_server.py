"""The Stripe sandbox as a process of the stack."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sandbox.stack.commands import Command
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.ports import LOOPBACK, free_port
from sandbox.stack.probes import http_ok
from sandbox.stack.processes import Process

SANDBOX_KEY: Final = "sk_test_sandbox"


class StripeServer:
    """Runs the sandbox on a loopback port. Its state is in a file and survives a kill -9.

    In tests it refuses other API versions than the pinned one. In the stack, other programs may read it. `deliver_to`
    is an API that gets all events, signed with the secrets in `env`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        log: Path,
        request_log: Path | None = None,
        strict_version: bool = False,
        port: int | None = None,
        deliver_to: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        port = port or free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        directory.mkdir(parents=True, exist_ok=True)
        arguments = ["--host", LOOPBACK, "--port", str(port), "--state", str(directory / "stripe-state")]
        if strict_version:
            arguments.append("--strict-version")
        if deliver_to:
            arguments += ["--deliver-to", deliver_to]
        if request_log:
            arguments += ["--log", str(request_log.absolute())]
        self.process = Process(
            name="stripe",
            command=Command(
                argv=python("-m", "sandbox.stripe", *arguments), env=child_environment(env or {}), cwd=PROJECT_ROOT
            ),
            ready=http_ok(f"{self.url}/_sandbox/health"),
            log=log,
        )

    async def start(self) -> None:
        """Raises: StartupError."""
        await self.process.start()

    async def stop(self) -> None:
        await self.process.stop()
