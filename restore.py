"""`./run restore`: after a restore from a backup, makes Postgres and Temporal whole from each other and from Stripe.

Run it while no worker and no API runs. docs/operations/backup.md says which of these a loss needs, and in which order.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from activities.booking.charges import ChargeThenTransferPlan
from activities.booking.holds import HoldPlan
from activities.booking.payment_plans import Plan
from activities.booking.records import RecordActivities
from activities.disputes import DisputeActivities
from activities.failed_writes import FailedWriteActivities
from activities.fraud_warnings import FraudWarningActivities
from activities.onboarding import OnboardingActivities
from activities.payouts import PayoutActivities
from activities.refunds import RefundActivities
from activities.stripe.client import stripe_client
from activities.stripe.disputes import StripeDisputes
from activities.stripe.payments import StripeGateway
from activities.stripe.payouts import StripePayouts
from activities.stripe.refunds import StripeRefunds
from activities.stripe.restore import StripeRestore
from models.db import build_engine
from models.domain.ids import ordered_reconciliation_id
from models.domain.policy import PaymentPlan
from models.domain.reconciliation import ReconciliationOrder
from models.settings import RuntimeSettings, StripeSettings
from models.startup_check import check_settings
from worker import WORKFLOWS
from workflows.client.interceptors import LoggingInterceptor
from workflows.client.restore.executions import ExecutionRestore
from workflows.client.restore.histories import WriteCollector, replay_changed
from workflows.client.restore.payments import Fate, PaymentRestore
from workflows.client.restore.records import RecordRestore
from workflows.reconciliation import ReconciliationWorkflow

_OVERLAP = timedelta(minutes=10)
"""How far before the backup's time each part looks back: clocks differ, and the time is somebody's note."""


class Settings(StripeSettings, RuntimeSettings):
    pass


class Restore:
    """Every method returns whether nothing is left to a person, and prints what is."""

    def __init__(self, client: Client, task_queue: str, engine: AsyncEngine, stripe: Any) -> None:
        gateway = StripeGateway(stripe, public_url="")
        self._client = client
        self._task_queue = task_queue
        self._engine = engine
        self._gateway = StripeRestore(stripe)
        self._plans: dict[PaymentPlan, Plan] = {
            PaymentPlan.HOLD: HoldPlan(gateway),
            PaymentPlan.CHARGE_THEN_TRANSFER: ChargeThenTransferPlan(gateway),
        }
        self._writes = writes(engine, gateway, StripeDisputes(stripe), StripePayouts(stripe), StripeRefunds(stripe))

    async def records(self, since: datetime) -> bool:
        """Write again what workflows have written since then."""
        since -= _OVERLAP
        collector, unread = WriteCollector(self._writes), 0
        replayer = Replayer(
            workflows=WORKFLOWS,
            workflow_runner=UnsandboxedWorkflowRunner(),
            data_converter=pydantic_data_converter,
            interceptors=[TracingInterceptor(), LoggingInterceptor(), collector],
        )
        async for result in replay_changed(self._client, self._task_queue, since, replayer):
            if result.replay_failure:
                unread += 1
                print(f"not read: {result.history.workflow_id} does not replay under this version")
        repeated = [each for each in collector.writes if each.at >= since]
        failures = await RecordRestore(self._engine, self._writes, self._gateway).write_again(repeated)
        for id, reason in sorted(failures.items()):
            print(f"not written: {id}, {reason}")
        print(f"{len(repeated)} writes of {len({each.workflow_id for each in repeated})} workflows repeated.")
        await self._reconcile()
        return not failures and not unread

    async def workflows(self, since: datetime) -> bool:
        """Start workflows from the records, and have Stripe's events since then delivered again."""
        restore = ExecutionRestore(self._client, self._task_queue, self._engine, self._plans)
        started, left_out = await restore.start_bookings()
        others = await restore.start_others()
        forgotten = await restore.forget_events(since - _OVERLAP)
        print(f"{started} bookings and {others} refunds, disputes and payouts go on from their records.")
        print(f"{left_out} bookings have ended at Stripe: the reconciliation records how.")
        print(f"{forgotten} events of Stripe's are delivered again.")
        await self._reconcile()
        return True

    async def payments(self, since: datetime, *, is_releasing: bool) -> bool:
        """List the payments of bookings that are in no record, and release those that can be."""
        is_whole = True
        restore = PaymentRestore(self._engine, self._gateway, self._plans)
        async for seen, fate in restore.unknown(since - _OVERLAP, is_releasing=is_releasing):
            print(f"{seen.ref.checkout_session_id}, booking {seen.booking_id}: {fate}")
            is_whole &= fate is Fate.RELEASED
        await self._reconcile()
        return is_whole

    async def _reconcile(self) -> None:
        """The first thing that a worker does."""
        await self._client.start_workflow(
            ReconciliationWorkflow.run,
            ReconciliationOrder(),
            id=ordered_reconciliation_id(self._task_queue),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )


def writes(
    engine: AsyncEngine,
    gateway: StripeGateway,
    disputes: StripeDisputes,
    payouts: StripePayouts,
    refunds: StripeRefunds,
) -> dict[str, Callable[[Any], Awaitable[Any]]]:
    """By name: the activities that write to Postgres and move no money. A reconciliation runs again instead."""
    record, refund, dispute = (
        RecordActivities(engine),
        RefundActivities(engine, refunds),
        DisputeActivities(engine, disputes),
    )
    payout, onboarding = PayoutActivities(engine, payouts), OnboardingActivities(engine, gateway)
    failed_write = FailedWriteActivities(engine)
    methods: list[Callable[[Any], Awaitable[Any]]] = [
        record.reserve_slot,
        record.record_checkout,
        record.record_processing,
        record.record_renewal,
        record.record_renewal_closed,
        record.record_renewed_payment,
        record.record_lapse,
        record.record_authorization,
        record.record_acceptance,
        record.record_ending,
        record.record_attention,
        record.record_deadline,
        record.record_session_report,
        record.record_session_answer,
        record.judge_session,
        record.move_slot,
        refund.reserve_refund,
        refund.adopt_refund,
        refund.record_refund,
        refund.record_refused_refund,
        refund.record_refund_retry,
        FraudWarningActivities(engine, refunds).take_fraud_warning,
        dispute.record_dispute,
        dispute.record_dispute_decision,
        dispute.record_dispute_evidence,
        dispute.record_refused_dispute_evidence,
        dispute.record_dispute_end,
        payout.record_payout,
        payout.record_lost_payout,
        onboarding.record_account,
        onboarding.record_account_state,
        failed_write.report_failed_write,
        failed_write.resolve_failed_write,
    ]
    return {method.__name__: method for method in methods}


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run restore", description=(__doc__ or "").partition("\n\n")[0])
    parts = parser.add_subparsers(dest="part", required=True, metavar="records|workflows|payments")
    for name, text in (
        ("records", "Postgres was restored: write again what workflows have written since"),
        ("workflows", "Temporal was lost or restored: workflows go on from the records"),
        ("payments", "both were restored: find the payments of bookings that only Stripe knows"),
    ):
        part = parts.add_parser(name, help=text, description=text)
        part.add_argument(
            "--since",
            required=True,
            type=_time,
            metavar="TIME",
            help="the backup's time, with its zone: 2026-11-30T08:00:00Z",
        )
        if name == "payments":
            part.add_argument("--release", action="store_true", help="return what is held, and close Checkout pages")
    arguments = parser.parse_args()
    check_settings(*Settings.__bases__, Settings)
    logging.basicConfig(level=logging.WARNING)
    return 0 if asyncio.run(_run(arguments)) else 1


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise argparse.ArgumentTypeError("a time needs its zone: 2026-11-30T08:00:00Z")
    return time


async def _run(arguments: argparse.Namespace) -> bool:
    settings = Settings()
    connect = ClientConfig.load_client_connect_config()
    client = await Client.connect(**connect, data_converter=pydantic_data_converter)
    async with AsyncExitStack() as stack:
        engine = build_engine(settings.database_url.get_secret_value())
        stack.push_async_callback(engine.dispose)
        key = settings.stripe_api_key.get_secret_value()
        stripe = await stack.enter_async_context(stripe_client(key, settings.stripe_api_base))
        restore = Restore(client, settings.holdfast_task_queue, engine, stripe)
        match arguments.part:
            case "records":
                return await restore.records(arguments.since)
            case "workflows":
                return await restore.workflows(arguments.since)
        return await restore.payments(arguments.since, is_releasing=arguments.release)


if __name__ == "__main__":
    sys.exit(main())
