"""The whole stack on one machine: Postgres, Temporal, the sandboxes, a mailbox, the worker and the API."""

import asyncio
import os
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sandbox.stack import holdfast_processes
from sandbox.stack.kept import KeptValues
from sandbox.stack.mailbox import Mailbox
from sandbox.stack.meeting_server import MeetingServer
from sandbox.stack.migrations import continue_from, create_migrated_database, migration_digests
from sandbox.stack.postgres import Postgres
from sandbox.stack.processes import Process
from sandbox.stack.stripe_choice import StackRefusedError, stripe_test_mode
from sandbox.stack.stripe_server import SANDBOX_KEY, StripeServer
from sandbox.stack.temporal import NAMESPACE, Temporal

_DATABASE: Final = "holdfast"
_STRIPE_URL: Final = "https://api.stripe.com"
_MEETING_WEBHOOK_PATH: Final = "/v1/meetings/webhook"


class Stack:
    """Starts everything on `async with` and stops it in order at the end. State and logs are in `directory`.

    A later stack in the same directory continues with the same data, at the same addresses. `keeps_data` says that
    there will be one.

    `env` overrides the stack's own settings of the API and the worker. `stripe_log` records every request to the
    sandbox as a JSON line. With `STRIPE_API_KEY=sk_test_…` in the environment, Stripe's test mode replaces the sandbox.

    Raises:
        StackRefusedError: the environment is set up for production or live mode, or does not fit the data that is
            there: a port is taken, the schema or the Stripe is another.
        StartupError: a process did not become ready. The others are stopped again.
    """

    def __init__(
        self,
        directory: Path,
        *,
        stripe_log: Path | None = None,
        env: Mapping[str, str] | None = None,
        keeps_data: bool = False,
    ) -> None:
        test_mode = stripe_test_mode(os.environ)
        # Others may traverse the directory but not list it: for root, Postgres runs as another user.
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        directory.chmod(0o711)
        self.logs = directory / "logs"
        self._env = dict(env or {})
        kept = KeptValues(directory / "kept.json")
        _refuse_other_data(kept, _STRIPE_URL if test_mode else "sandbox")
        self._postgres = Postgres(
            directory / "postgres",
            log=self.logs / "postgres.log",
            port=kept.port("Postgres"),
            keeps_data=keeps_data,
        )
        self._temporal = Temporal(
            directory / "temporal",
            log=self.logs / "temporal.log",
            port=kept.port("Temporal"),
            ui_port=kept.port("Temporal's UI"),
        )
        self._mailbox = Mailbox(
            directory / "mails",
            log=self.logs / "mailbox.log",
            port=kept.port("the mailbox"),
            smtp_port=kept.port("SMTP"),
        )
        self._stripe: StripeServer | None = None
        self._worker: Process | None = None
        self._api: Process | None = None

        self.api_url = kept.url("the API")
        self._meeting = MeetingServer(
            self.api_url + _MEETING_WEBHOOK_PATH, log=self.logs / "meeting.log", port=kept.port("the meetings")
        )
        self.meeting_url = self._meeting.url
        self.api_metrics_url = kept.url("the API's metrics") + "/metrics"
        self.worker_metrics_url = kept.url("the worker's metrics") + "/metrics"
        self.temporal_address = self._temporal.address
        self.temporal_ui_url = self._temporal.ui_url
        self.mailbox_url = self._mailbox.url
        # The owner's: the API and the worker connect as a role with fewer rights.
        self.database_url = self._postgres.url(_DATABASE)
        self.token_secret = kept.secret("tokens")
        # The secrets of webhook endpoints are derived from it.
        self.webhook_key = kept.secret("webhooks")
        if test_mode:
            self.stripe_url, self.stripe_key = _STRIPE_URL, test_mode.key
            self.webhook_secret = test_mode.webhook_secret
            self.connect_webhook_secret = test_mode.connect_webhook_secret
        else:
            self.webhook_secret = kept.secret("Stripe's webhook")
            self.connect_webhook_secret = kept.secret("Stripe's Connect webhook")
            self._stripe = StripeServer(
                directory / "stripe",
                log=self.logs / "stripe.log",
                request_log=stripe_log,
                port=kept.port("Stripe"),
                deliver_to=self.api_url,
                env=self._webhook_secrets,
            )
            self.stripe_url, self.stripe_key = self._stripe.url, SANDBOX_KEY

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
            self._worker = holdfast_processes.worker(
                self.worker_environment, metrics_url=self.worker_metrics_url, log=self.logs / "worker.log"
            )
            self._api = holdfast_processes.api(
                self.environment, url=self.api_url, metrics_url=self.api_metrics_url, log=self.logs / "api.log"
            )
            # The API takes the longest, and connects to the others only when it is ready.
            await _start_concurrently(self._api.start(), self._start_others_and_worker(self._worker))
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
        secrets = {**self._webhook_secrets, "HOLDFAST_TOKEN_SECRET": self.token_secret}
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
    def _webhook_secrets(self) -> dict[str, str]:
        return {
            "STRIPE_WEBHOOK_SECRET": self.webhook_secret,
            "STRIPE_CONNECT_WEBHOOK_SECRET": self.connect_webhook_secret,
        }

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

    async def add_database(self, name: str) -> str:
        """Create another database with the same schema. Returns its URL, as the role of the API and the worker."""
        await create_migrated_database(self._postgres, name)
        return self._postgres.program_url(name)

    async def kill_worker(self) -> None:
        """Send SIGKILL to the worker, as in a crash."""
        await self.processes["worker"].kill()

    async def start_worker(self) -> None:
        """Start a new worker after `kill_worker`. Raises: StartupError."""
        await self.processes["worker"].start()

    async def _start_others_and_worker(self, worker: Process) -> None:
        await _start_concurrently(
            self._start_database(),
            self._temporal.start(),
            self._mailbox.start(),
            *([self._stripe.start()] if self._stripe else []),
            self._meeting.process.start(),
        )
        await worker.start()

    async def _start_database(self) -> None:
        await self._postgres.start()
        await create_migrated_database(self._postgres, _DATABASE)

    async def _stop(self) -> None:
        """Stop in order of dependency: API and worker, then the other servers, then Postgres."""
        await asyncio.gather(*(process.stop() for process in (self._api, self._worker) if process))
        servers = (self._temporal, self._stripe, self._mailbox, self._meeting.process)
        await asyncio.gather(*(server.stop() for server in servers if server))
        await self._postgres.stop()


def _refuse_other_data(kept: KeptValues, stripe: str) -> None:
    if not continue_from(kept.first("migrations", migration_digests())):
        raise StackRefusedError(
            "A migration of this checkout was changed after it ran on the data that is here. Start anew with "
            "`./run up --fresh`."
        )
    if kept.first("Stripe", stripe) != stripe:
        raise StackRefusedError(
            f"The data that is here belongs to another Stripe ({kept.first('Stripe', stripe)}). Set or unset "
            "STRIPE_API_KEY as before, or start anew with `./run up --fresh`."
        )


async def _start_concurrently(*starts: Coroutine[None, None, None]) -> None:
    """Start several processes at the same time. The first failure cancels the others and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)
    except ExceptionGroup as failures:  # not except*, which would wrap the exception in a group again
        raise failures.exceptions[0] from None
