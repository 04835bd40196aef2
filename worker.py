"""The worker: carries bookings on, and sends the mails. It builds the engine and the clients, and owns nothing else.

It polls two task queues: that of the workflows, and that of the activities that call Stripe, whose rate is limited.

Run with `python worker.py`; SIGTERM and SIGINT let running activities finish first.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from email.utils import parseaddr
from enum import StrEnum
from functools import partial

import uvloop
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.runtime import LogForwardingConfig, LoggingConfig, PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Interceptor, Worker, WorkerDeploymentConfig

from activities.adjustments import AdjustmentActivities
from activities.blocked_times.reader import CalendarReader
from activities.booking.charges import ChargeThenTransferPlan
from activities.booking.holds import HoldPlan
from activities.booking.payments import PaymentActivities
from activities.booking.records import RecordActivities
from activities.disputes import DisputeActivities
from activities.failed_writes import FailedWriteActivities
from activities.fraud_warnings import FraudWarningActivities
from activities.gateways import BalanceGateway, DisputeGateway, PaymentGateway, PayoutGateway, RefundGateway
from activities.mail.attention import OperatorDigest
from activities.mail.sender import MailSender
from activities.mail.smtp import SmtpTransport
from activities.onboarding import OnboardingActivities
from activities.payouts import PayoutActivities
from activities.reconciliation.comparison import ComparisonActivities
from activities.reconciliation.executions import ExecutionActivities
from activities.reconciliation.orphans import OrphanActivities
from activities.reconciliation.redelivery import RedeliveryActivities
from activities.reconciliation.runs import ReconciliationActivities
from activities.refunds import RefundActivities
from activities.registration import activities_of
from activities.stripe.balances import StripeBalances
from activities.stripe.client import stripe_client
from activities.stripe.disputes import StripeDisputes
from activities.stripe.payments import StripeGateway
from activities.stripe.payouts import StripePayouts
from activities.stripe.refunds import StripeRefunds
from activities.webhooks.sender import WebhookSender
from activities.webhooks.transport import PublicTransport
from models import logs
from models.db import build_engine
from models.domain.ids import stripe_task_queue
from models.domain.policy import PaymentPlan
from models.session_calendar import Party
from models.settings import DocumentSettings, MailSettings, RuntimeSettings, StripeSettings, WebhookSettings
from models.startup_check import check_settings
from models.trace_export import exporting, trace_queries
from workflows.client.attention import AttentionExecutions
from workflows.client.event_router import StripeEventRouter
from workflows.client.executions import WorkflowExecutions
from workflows.client.interceptors import LoggingInterceptor, traced
from workflows.client.sandbox import SANDBOX
from workflows.client.schedules import create_schedules
from workflows.client.task_queues import DEPLOYMENT
from workflows.client.workflow_types import WORKFLOWS

GRACE = timedelta(seconds=30)

log = logging.getLogger("holdfast.worker")

# How long a workflow task waits for the worker that has its booking in memory before any worker may take it.
STICKY_WAIT = timedelta(seconds=1)


class WorkerRole(StrEnum):
    ALL = "all"
    BOOKINGS = "bookings"
    """Everything but the task queue of Stripe's activities."""
    STRIPE = "stripe"
    """Only that one."""


class Settings(StripeSettings, RuntimeSettings, MailSettings, WebhookSettings, DocumentSettings):
    holdfast_public_url: str
    """Where Checkout sends the student back to: the API's own address."""
    holdfast_worker_metrics_address: str | None = None
    """`host:port` on which the SDK's Prometheus metrics are served."""
    holdfast_cached_workflows: int = 500
    """Bookings kept in memory at most; the others wait in Temporal, and are read again when something happens."""
    holdfast_build_id: str | None = None
    """Turns worker versioning on: bookings end on the version that they began on. The version must be made current."""
    holdfast_worker_role: WorkerRole = WorkerRole.ALL
    """The task queues that this process polls."""
    holdfast_stripe_activities_per_second: float = Field(default=12, gt=0)
    """For all workers together. An activity makes one or two calls, and Stripe accepts 25 a second with a test key."""


@asynccontextmanager
async def build_worker(
    client: Client,
    task_queue: str,
    engine: AsyncEngine,
    gateway: PaymentGateway,
    disputes: DisputeGateway,
    payouts: PayoutGateway,
    refunds: RefundGateway,
    books: BalanceGateway,
    *,
    cached_workflows: int = 500,
    pages_url: str | None = None,
    role: WorkerRole = WorkerRole.ALL,
    stripe_activities_per_second: float | None = None,
    build_id: str | None = None,
    interceptors: Sequence[Interceptor] = (),
) -> AsyncIterator[None]:
    """A worker on the gateways and the engine, which works until the block ends. `build_id` turns versioning on.

    Both task queues have all activities: those that an earlier version scheduled wait in the queue of the workflows.
    """
    client = traced(client)
    executions = WorkflowExecutions(client, task_queue)
    worker_on = partial(
        Worker,
        client,
        activities=activities_of(
            PaymentActivities(
                engine,
                gateway,
                {
                    PaymentPlan.HOLD: HoldPlan(gateway),
                    PaymentPlan.CHARGE_THEN_TRANSFER: ChargeThenTransferPlan(gateway),
                },
            ),
            RecordActivities(engine),
            FailedWriteActivities(engine),
            OnboardingActivities(engine, gateway),
            DisputeActivities(engine, disputes),
            PayoutActivities(engine, payouts),
            RefundActivities(engine, refunds),
            FraudWarningActivities(engine, refunds),
            ReconciliationActivities(engine),
            RedeliveryActivities(engine, books, StripeEventRouter(client, task_queue, engine)),
            ExecutionActivities(engine, executions),
            OrphanActivities(engine, executions, AttentionExecutions(client, task_queue), pages_url),
            ComparisonActivities(engine, books),
            AdjustmentActivities(engine),
        ),
        graceful_shutdown_timeout=GRACE,
        interceptors=[LoggingInterceptor(), *interceptors],
        deployment_config=_deployment(build_id) if build_id else None,
    )
    workers = []
    if role is not WorkerRole.STRIPE:
        workers.append(
            worker_on(
                task_queue=task_queue,
                workflows=WORKFLOWS,
                workflow_runner=SANDBOX,
                max_cached_workflows=cached_workflows,
                sticky_queue_schedule_to_start_timeout=STICKY_WAIT,
            )
        )
    if role is not WorkerRole.BOOKINGS:
        workers.append(
            worker_on(
                task_queue=stripe_task_queue(task_queue),
                max_task_queue_activities_per_second=stripe_activities_per_second,
            )
        )
    async with AsyncExitStack() as running:
        for worker in workers:
            await running.enter_async_context(worker)
        try:
            yield
        finally:
            # At the same time: each may take as long as the process has to stop.
            await asyncio.gather(*(worker.shutdown() for worker in workers))


def _deployment(build_id: str) -> WorkerDeploymentConfig:
    """Every workflow is pinned: it ends on the version that it began on.

    The behavior is set here because a server refuses workflows that set it themselves while versioning is off.
    """
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


def mail_sender(settings: Settings, engine: AsyncEngine) -> AbstractAsyncContextManager[None]:
    """Sends mails until the block ends. Without a mail server, which only development may do without, they wait."""
    if settings.holdfast_smtp_host is None or settings.holdfast_mail_from is None:
        log.warning("No mails are sent: HOLDFAST_SMTP_HOST is not set. They wait in the outbox.")
        return nullcontext()
    sender = Party(*parseaddr(settings.holdfast_mail_from))
    links_url = str(settings.holdfast_links_url or settings.holdfast_public_url)
    operators = settings.holdfast_operator_mail
    return MailSender(
        engine,
        SmtpTransport(settings),
        sender,
        links_url,
        settings.issuer,
        operators,
        has_pages=settings.holdfast_pages,
    ).running()


def operator_digest(settings: Settings, engine: AsyncEngine) -> AbstractAsyncContextManager[None]:
    """Has the operators' digests sent until the block ends, if they have an address."""
    return OperatorDigest(engine).running() if settings.holdfast_operator_mail else nullcontext()


def webhook_sender(settings: WebhookSettings, engine: AsyncEngine) -> AbstractAsyncContextManager[None]:
    """Delivers webhooks until the block ends. Without a key there are no endpoints."""
    if not settings.keys:
        return nullcontext()
    transport = PublicTransport(allow_private=settings.holdfast_webhook_allow_private)
    return WebhookSender(engine, transport, settings.keys).running()


def calendar_reader(settings: WebhookSettings, engine: AsyncEngine) -> AbstractAsyncContextManager[None]:
    """Reads instructors' own calendars until the block ends."""
    return CalendarReader(engine, PublicTransport(allow_private=settings.holdfast_webhook_allow_private)).running()


async def main() -> None:
    logs.configure()
    # Their lines say it anyway, in members of their own.
    workflow.logger.workflow_info_on_message = activity.logger.activity_info_on_message = False
    # Its parts on their own as well: a missing setting of one part must not hide what is wrong in another.
    check_settings(*Settings.__bases__, Settings)
    settings = Settings()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    address = settings.holdfast_worker_metrics_address
    runtime = Runtime(
        telemetry=TelemetryConfig(
            logging=replace(
                LoggingConfig.default, forwarding=LogForwardingConfig(logging.getLogger("temporalio.core"))
            ),
            metrics=PrometheusConfig(bind_address=address) if address else None,
        )
    )
    client = await Client.connect(
        **ClientConfig.load_client_connect_config(), data_converter=pydantic_data_converter, runtime=runtime
    )
    engine = build_engine(settings.database_url.get_secret_value())
    trace_queries(engine)
    api_key = settings.stripe_api_key.get_secret_value()
    try:
        async with stripe_client(api_key, settings.stripe_api_base) as stripe:
            role = settings.holdfast_worker_role
            worker = build_worker(
                client,
                settings.holdfast_task_queue,
                engine,
                StripeGateway(stripe, settings.holdfast_public_url),
                StripeDisputes(stripe),
                StripePayouts(stripe),
                StripeRefunds(stripe),
                StripeBalances(stripe),
                cached_workflows=settings.holdfast_cached_workflows,
                pages_url=settings.holdfast_public_url if settings.holdfast_pages else None,
                role=role,
                stripe_activities_per_second=settings.holdfast_stripe_activities_per_second,
                build_id=settings.holdfast_build_id,
            )
            async with AsyncExitStack() as running:
                if role is not WorkerRole.STRIPE:
                    await create_schedules(client, settings.holdfast_task_queue)
                    for sender in (mail_sender, operator_digest, webhook_sender, calendar_reader):
                        await running.enter_async_context(sender(settings, engine))
                # The last one in stops first: what its last activities write is sent as well.
                await running.enter_async_context(worker)
                await stop.wait()
    finally:
        await engine.dispose()


if __name__ == "__main__":
    with exporting("holdfast-worker"):
        uvloop.run(main())
