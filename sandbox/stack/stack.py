"""The whole stack on one machine: Postgres, Temporal, the sandboxes, a mailbox, the worker and the API."""

import asyncio
import os
import secrets
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from models.domain.stripe_events import THIN_EVENTS
from sandbox.stack import holdfast_processes
from sandbox.stack.mailbox import Mailbox
from sandbox.stack.meeting_server import MeetingServer
from sandbox.stack.migrations import create_migrated_database
from sandbox.stack.ports import LOOPBACK, free_port
from sandbox.stack.postgres import Postgres
from sandbox.stack.processes import Process
from sandbox.stack.stripe_choice import stripe_test_mode
from sandbox.stack.stripe_server import SANDBOX_KEY, StripeServer
from sandbox.stack.temporal import NAMESPACE, Temporal

_DATABASE: Final = "holdfast"
_STRIPE_URL: Final = "https://api.stripe.com"
_WEBHOOK_PATH: Final = "/v1/stripe/webhook"
_CONNECT_WEBHOOK_PATH: Final = "/v1/stripe/connect-webhook"
_MEETING_WEBHOOK_PATH: Final = "/v1/meetings/webhook"


class Stack:
    """Starts everything on `async with` and stops it in order at the end. State and logs are in `directory`.

    `env` overrides the stack's own settings of the API and the worker. `stripe_log` records every request to the
    sandbox as a JSON line. With `STRIPE_API_KEY=sk_test_…` in the environment, Stripe's test mode replaces the sandbox.

    Raises:
        StackRefusedError: the environment is set up for production or live mode.
        StartupError: a process did not become ready. The others are stopped again.
    """

    def __init__(
        self, directory: Path, *, stripe_log: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        test_mode = stripe_test_mode(os.environ)
        # Others may traverse the directory but not list it: for root, Postgres runs as another user.
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        directory.chmod(0o711)
        self.logs = directory / "logs"
        self._env = dict(env or {})
        self._postgres = Postgres(directory / "postgres", log=self.logs / "postgres.log")
        self._temporal = Temporal(directory / "temporal", log=self.logs / "temporal.log")
        self._mailbox = Mailbox(log=self.logs / "mailbox.log")
        self._stripe: StripeServer | None = None
        self._worker: Process | None = None
        self._api: Process | None = None

        self.api_url = f"http://{LOOPBACK}:{free_port()}"
        self._meeting = MeetingServer(self.api_url + _MEETING_WEBHOOK_PATH, log=self.logs / "meeting.log")
        self.meeting_url = self._meeting.url
        self.api_metrics_url = f"http://{LOOPBACK}:{free_port()}/metrics"
        self.worker_metrics_url = f"http://{LOOPBACK}:{free_port()}/metrics"
        self.temporal_address = self._temporal.address
        self.temporal_ui_url = self._temporal.ui_url
        self.mailbox_url = self._mailbox.url
        # The owner's: the API and the worker connect as a role with fewer rights.
        self.database_url = self._postgres.url(_DATABASE)
        self.token_secret = secrets.token_urlsafe(32)
        self.webhook_key = _kept_key(directory / "webhook-key")
        if test_mode:
            self.stripe_url, self.stripe_key = _STRIPE_URL, test_mode.key
            self.webhook_secret = test_mode.webhook_secret
            self.connect_webhook_secret = test_mode.connect_webhook_secret
        else:
            self._stripe = StripeServer(directory / "stripe", log=self.logs / "stripe.log", request_log=stripe_log)
            self.stripe_url, self.stripe_key = self._stripe.url, SANDBOX_KEY
            self.webhook_secret = self.connect_webhook_secret = ""  # set once the sandbox runs
        self._thin_webhook_secret: str | None = None

    @property
    def processes(self) -> dict[str, Process]:
        """The processes that run or should run, by name, in start order."""
        stripe = self._stripe.process if self._stripe else None
        parts = [
            *(self._postgres.process, self._temporal.process, self._mailbox.process),
            *(stripe, self._meeting.process, self._worker, self._api),
        ]
        return {part.name: part for part in parts if part}

    @property
    def has_stripe_sandbox(self) -> bool:
        """False if the stack uses Stripe's test mode."""
        return self._stripe is not None

    @property
    def pids(self) -> dict[str, int]:
        """The ids of the running processes, by name."""
        return {name: process.pid for name, process in self.processes.items() if process.is_running}

    async def __aenter__(self) -> Self:
        try:
            await _start_concurrently(
                self._start_database(),
                self._temporal.start(),
                self._mailbox.start(),
                self._start_stripe(),
                self._meeting.process.start(),
            )
            self._worker = holdfast_processes.worker(
                self.worker_environment, metrics_url=self.worker_metrics_url, log=self.logs / "worker.log"
            )
            self._api = holdfast_processes.api(
                self.environment, url=self.api_url, metrics_url=self.api_metrics_url, log=self.logs / "api.log"
            )
            await _start_concurrently(self._worker.start(), self._api.start())
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    @property
    def environment(self) -> dict[str, str]:
        """The API's settings. It calls Stripe for nothing, so it has no Stripe key."""
        secrets = {
            "STRIPE_WEBHOOK_SECRET": self.webhook_secret,
            "STRIPE_CONNECT_WEBHOOK_SECRET": ",".join(
                filter(None, (self.connect_webhook_secret, self._thin_webhook_secret))
            ),
            "HOLDFAST_TOKEN_SECRET": self.token_secret,
        }
        links = {"HOLDFAST_TEMPORAL_UI_URL": f"{self.temporal_ui_url}/namespaces/{NAMESPACE}"}
        return self._shared_settings | secrets | links | self._meeting.settings | self._env

    @property
    def worker_environment(self) -> dict[str, str]:
        """The worker's settings. It signs and verifies nothing, so it has none of the API's secrets."""
        stripe = {"STRIPE_API_KEY": self.stripe_key}
        if self._stripe:
            stripe["STRIPE_API_BASE"] = self._stripe.url
        return self._shared_settings | self._mailbox.environment | stripe | self._env

    @property
    def _shared_settings(self) -> dict[str, str]:
        return {
            "HOLDFAST_ENV": "development",
            "DATABASE_URL": self._postgres.program_url(_DATABASE),
            "TEMPORAL_ADDRESS": self.temporal_address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "HOLDFAST_TASK_QUEUE": "holdfast",
            "HOLDFAST_PUBLIC_URL": self.api_url,
            "HOLDFAST_WEBHOOK_KEY": self.webhook_key,
            # An integrator's receiver runs on this machine as well.
            "HOLDFAST_WEBHOOK_ALLOW_PRIVATE": "true",
        }

    async def kill_worker(self) -> None:
        """Send SIGKILL to the worker, as in a crash."""
        await self.processes["worker"].kill()

    async def start_worker(self) -> None:
        """Start a new worker after `kill_worker`. Raises: StartupError."""
        await self.processes["worker"].start()

    async def _start_database(self) -> None:
        await self._postgres.start()
        await create_migrated_database(self._postgres, _DATABASE)

    async def _start_stripe(self) -> None:
        if self._stripe:
            await self._stripe.start()
            self.webhook_secret = await self._stripe.create_webhook_endpoint(self.api_url + _WEBHOOK_PATH)
            self.connect_webhook_secret = await self._stripe.create_webhook_endpoint(
                self.api_url + _CONNECT_WEBHOOK_PATH, connect=True
            )
            self._thin_webhook_secret = await self._stripe.create_event_destination(
                self.api_url + _CONNECT_WEBHOOK_PATH, THIN_EVENTS
            )

    async def _stop(self) -> None:
        """Stop in order of dependency: API and worker, then the other servers, then Postgres."""
        await asyncio.gather(*(process.stop() for process in (self._api, self._worker) if process))
        servers = (self._temporal, self._stripe, self._mailbox, self._meeting.process)
        await asyncio.gather(*(server.stop() for server in servers if server))
        await self._postgres.stop()


def _kept_key(path: Path) -> str:
    """Kept from one start to the next, as the endpoints are whose secrets are derived from it."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    return path.read_text()


async def _start_concurrently(*starts: Coroutine[None, None, None]) -> None:
    """Start several processes at the same time. The first failure cancels the others and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)
    except ExceptionGroup as failures:  # not except*, which would wrap the exception in a group again
        raise failures.exceptions[0] from None
