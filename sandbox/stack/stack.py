"""The whole of Holdfast on one machine: Postgres, Temporal, the sandboxes, a mailbox, the worker and the API."""

import asyncio
import os
import secrets
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

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
_STRIPE_ITSELF: Final = "https://api.stripe.com"
_WEBHOOK_PATH: Final = "/v1/stripe/webhook"
_CONNECT_WEBHOOK_PATH: Final = "/v1/stripe/connect-webhook"
_MEETING_WEBHOOK_PATH: Final = "/v1/meetings/webhook"


class Stack:
    """Starts everything on `async with`, stops it in order at the end. State and logs are in `directory`.

    `env` goes to the API and the worker, on top of what the stack sets. `stripe_log` gets every request to the
    sandbox as a JSON line. With `STRIPE_API_KEY=sk_test_…` in the environment, Stripe itself takes the
    sandbox's place.

    Raises:
        StackRefusedError: the environment asks for production or real money.
        StartupError: a part did not get ready; what had started is stopped again.
    """

    def __init__(
        self, directory: Path, *, stripe_log: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        test_mode = stripe_test_mode(os.environ)
        # Others may pass through, no more: where we are root, Postgres runs as another user.
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
        self.worker_metrics_url = f"http://{LOOPBACK}:{free_port()}/metrics"
        self.temporal_address = self._temporal.address
        self.temporal_ui_url = self._temporal.ui_url
        self.mailbox_url = self._mailbox.url
        self.database_url = self._postgres.url(_DATABASE)
        self.token_secret = secrets.token_urlsafe(32)
        if test_mode:
            self.stripe_url, self.stripe_key = _STRIPE_ITSELF, test_mode.key
            self.webhook_secret = test_mode.webhook_secret
            self.connect_webhook_secret = test_mode.connect_webhook_secret
        else:
            self._stripe = StripeServer(directory / "stripe", log=self.logs / "stripe.log", request_log=stripe_log)
            self.stripe_url, self.stripe_key = self._stripe.url, SANDBOX_KEY
            self.webhook_secret = self.connect_webhook_secret = ""  # known once the sandbox runs

    @property
    def processes(self) -> dict[str, Process]:
        """What runs or should, by name, in the order of starting."""
        stripe = self._stripe.process if self._stripe else None
        parts = [
            *(self._postgres.process, self._temporal.process, self._mailbox.process),
            *(stripe, self._meeting.process, self._worker, self._api),
        ]
        return {part.name: part for part in parts if part}

    @property
    def has_stripe_sandbox(self) -> bool:
        """False where Stripe itself is talked to."""
        return self._stripe is not None

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of what runs, by name."""
        return {name: process.pid for name, process in self.processes.items() if process.is_running}

    async def __aenter__(self) -> Self:
        try:
            await _together(
                self._start_database(),
                self._temporal.start(),
                self._mailbox.start(),
                self._start_stripe(),
                self._meeting.process.start(),
            )
            self._worker = holdfast_processes.worker(
                self.environment, metrics_url=self.worker_metrics_url, log=self.logs / "worker.log"
            )
            self._api = holdfast_processes.api(self.environment, url=self.api_url, log=self.logs / "api.log")
            await _together(self._worker.start(), self._api.start())
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
        """The settings of the API and the worker."""
        settings = {
            "HOLDFAST_ENV": "development",
            "DATABASE_URL": self.database_url,
            "STRIPE_API_KEY": self.stripe_key,
            "STRIPE_WEBHOOK_SECRET": self.webhook_secret,
            "STRIPE_CONNECT_WEBHOOK_SECRET": self.connect_webhook_secret,
            "TEMPORAL_ADDRESS": self.temporal_address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "HOLDFAST_TASK_QUEUE": "holdfast",
            "HOLDFAST_TOKEN_SECRET": self.token_secret,
            "HOLDFAST_PUBLIC_URL": self.api_url,
        }
        sandbox = {"STRIPE_API_BASE": self._stripe.url} if self._stripe else {}
        return settings | self._mailbox.environment | self._meeting.settings | sandbox | self._env

    async def kill_worker(self) -> None:
        """SIGKILL the worker, as a crash would."""
        await self.processes["worker"].kill()

    async def start_worker(self) -> None:
        """Start a new worker after one was killed. Raises: StartupError."""
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

    async def _stop(self) -> None:
        """First those who use the others: the programs, then Temporal, Stripe and the mailbox, then Postgres."""
        await asyncio.gather(*(program.stop() for program in (self._api, self._worker) if program))
        servers = (self._temporal, self._stripe, self._mailbox, self._meeting.process)
        await asyncio.gather(*(server.stop() for server in servers if server))
        await self._postgres.stop()


async def _together(*starts: Coroutine[None, None, None]) -> None:
    """Run starts at the same time. The first failure cancels the others and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)
    except ExceptionGroup as failures:  # not except*, which would wrap the one in a group again
        raise failures.exceptions[0] from None
