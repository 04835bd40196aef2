"""The Stripe sandbox as a process of the stack, and the registration of webhook endpoints with it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import httpx

from sandbox.stack.commands import Command
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.ports import LOOPBACK, NO_TLS, free_port
from sandbox.stack.probes import http_ok
from sandbox.stack.processes import Process

SANDBOX_KEY: Final = "sk_test_sandbox"


class StripeServer:
    """Runs the sandbox on a free loopback port. Its state is in a file and survives a kill -9.

    In tests it refuses other API versions than the pinned one. In the stack, other programs may read it.
    """

    def __init__(
        self, directory: Path, *, log: Path, request_log: Path | None = None, strict_version: bool = False
    ) -> None:
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        directory.mkdir(parents=True, exist_ok=True)
        arguments = ["--host", LOOPBACK, "--port", str(port), "--state", str(directory / "stripe-state")]
        if strict_version:
            arguments.append("--strict-version")
        if request_log:
            arguments += ["--log", str(request_log.absolute())]
        self.process = Process(
            name="stripe",
            command=Command(
                argv=python("-m", "sandbox.stripe", *arguments), env=child_environment({}), cwd=PROJECT_ROOT
            ),
            ready=http_ok(f"{self.url}/_sandbox/health"),
            log=log,
        )

    async def start(self) -> None:
        """Raises: StartupError."""
        await self.process.start()

    async def stop(self) -> None:
        await self.process.stop()

    async def create_webhook_endpoint(self, url: str, *, connect: bool = False) -> str:
        """Subscribe `url` to all events, or to those of connected accounts. Returns the signing secret."""
        async with httpx.AsyncClient(trust_env=False, base_url=self.url, verify=NO_TLS) as client:
            response = await client.post(
                "/v1/webhook_endpoints",
                data={"url": url, "enabled_events[]": "*", "connect": "true" if connect else "false"},
                headers={"Authorization": f"Bearer {SANDBOX_KEY}"},
            )
        response.raise_for_status()
        secret: str = response.json()["secret"]
        return secret

    async def create_event_destination(self, url: str, types: Iterable[str]) -> str:
        """Subscribe `url` to thin events. Returns the signing secret."""
        async with httpx.AsyncClient(trust_env=False, base_url=self.url, verify=NO_TLS) as client:
            response = await client.post(
                "/v2/core/event_destinations",
                json={
                    "name": "Accounts",
                    "type": "webhook_endpoint",
                    "event_payload": "thin",
                    "enabled_events": sorted(types),
                    "webhook_endpoint": {"url": url},
                    "include": ["webhook_endpoint.signing_secret"],
                },
                headers={"Authorization": f"Bearer {SANDBOX_KEY}"},
            )
        response.raise_for_status()
        secret: str = response.json()["webhook_endpoint"]["signing_secret"]
        return secret
