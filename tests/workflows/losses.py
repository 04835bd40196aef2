"""A saga whose Temporal and Postgres can be lost, and replaced by what a backup has of them."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import stripe
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.stripe.balances import StripeBalances
from activities.stripe.payments import StripeGateway
from activities.stripe.payouts import StripePayouts
from activities.stripe.refunds import StripeRefunds
from models.domain.ids import ordered_reconciliation_id
from models.domain.reconciliation import ReconciliationReport
from restore import Restore
from sandbox.stack.temporal import Temporal
from tests.workflows.faults import Faults, FaultyDisputes, FaultyGateway
from tests.workflows.resets import LiveEnvironment
from tests.workflows.saga import QUEUE, Booked, Saga, Workers
from worker import build_worker

Rows = dict[str, list[dict[str, Any]]]


class Backup:
    """All rows of a database, to go back to."""

    def __init__(self, url: str) -> None:
        self._conninfo = url.replace("+psycopg", "")
        self._tables: dict[str, bytes] = {}
        self.at = datetime.now(UTC)
        with psycopg.connect(self._conninfo) as connection:
            for table in SQLModel.metadata.sorted_tables:
                copy = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table.name))
                with connection.cursor().copy(copy) as rows:
                    self._tables[table.name] = b"".join(bytes(part) for part in rows)

    def restore(self) -> None:
        with psycopg.connect(self._conninfo) as connection:
            # No trigger fires: neither of append-only tables nor of foreign keys.
            connection.execute("SET LOCAL session_replication_role = replica")
            for name in self._tables:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
            for name, rows in self._tables.items():
                with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))) as copy:
                    copy.write(rows)


class World:
    """A saga whose Temporal and Postgres can be lost."""

    def __init__(self, directory: Path, engine: AsyncEngine, client: stripe.StripeClient, stripe_url: str) -> None:
        self.engine = engine
        self.stripe = client
        self._stripe_url = stripe_url
        self._directory = directory
        self._temporal = Temporal(directory / "temporal", log=directory / "temporal.log")
        self._faults = Faults()
        self.saga: Saga

    @property
    def temporal_address(self) -> str:
        return self._temporal.address

    async def start(self) -> None:
        await self._temporal.start()
        await self._connect()
        await self.saga.workers.start()

    async def stop(self) -> None:
        await self.saga.workers.stop()
        await self._temporal.stop()

    async def _connect(self) -> None:
        client = await Client.connect(self._temporal.address, data_converter=pydantic_data_converter)
        faults = self._faults
        gateway = FaultyGateway(StripeGateway(self.stripe, "http://127.0.0.1:1"), faults)
        parts = FaultyDisputes(self.stripe, faults), StripePayouts(self.stripe), StripeRefunds(self.stripe)
        books = StripeBalances(self.stripe)
        workers = Workers(
            lambda: build_worker(client, QUEUE, self.engine, gateway, *parts, books, interceptors=[faults])
        )
        env = LiveEnvironment(client)
        self.saga = Saga(env, self.engine, self.stripe, self._faults, workers, self._stripe_url)
        self.restore = Restore(client, QUEUE, self.engine, self.stripe)

    async def back_up_temporal(self, name: str) -> None:
        await self.saga.workers.stop()
        await self._temporal.stop()
        shutil.copytree(self._directory / "temporal", self._directory / name)
        await self.start()

    async def replace_temporal(self, backup: str | None) -> None:
        """By a new server, which is empty or has the backup's state. The workers stay down."""
        await self.stop()
        shutil.rmtree(self._directory / "temporal")
        if backup:
            shutil.copytree(self._directory / backup, self._directory / "temporal")
        else:
            (self._directory / "temporal").mkdir()
        await self._temporal.start()
        await self._connect()

    def again(self, booked: Booked) -> Booked:
        """The same booking on the new Temporal."""
        id = booked.order.terms.booking_id
        return Booked(self.saga, booked.order, self.saga.handle(id), booked.checkout, booked.checkout_url)

    async def reconciled(self) -> ReconciliationReport:
        """The result of the run that a restore has ordered."""
        id = ordered_reconciliation_id(QUEUE)
        run = self.saga.env.client.get_workflow_handle(id, result_type=ReconciliationReport)
        report: ReconciliationReport = await run.result()
        return report

    async def rows(self) -> Rows:
        async with self.engine.connect() as connection:
            return {
                table.name: [dict(row) for row in (await connection.execute(table.select())).mappings()]
                for table in SQLModel.metadata.sorted_tables
            }

    async def payments(self) -> dict[str, tuple[str, int]]:
        """Every payment at Stripe with its status and what was received and not refunded."""
        listed = await self.stripe.v1.payment_intents.list_async({"limit": 100, "expand": ["data.latest_charge"]})
        return {
            each.id: (each.status, each.amount_received - getattr(each.latest_charge, "amount_refunded", 0))
            for each in listed.data
        }


def differences(before: Rows, after: Rows) -> dict[str, set[str]]:
    """The columns that differ, by table, and how many rows only one of the two has."""
    found: dict[str, set[str]] = {}
    for table in SQLModel.metadata.sorted_tables:
        keys = [column.name for column in table.primary_key if table.name != "instructor_payout"] or ["booking_id"]
        old, new = ({tuple(row[key] for key in keys): row for row in rows[table.name]} for rows in (before, after))
        for change, changed in (("missing", old.keys() - new.keys()), ("added", new.keys() - old.keys())):
            if changed:
                found.setdefault(table.name, set()).add(f"rows {change}: {len(changed)}")
        for key in old.keys() & new.keys():
            differing = {name for name, value in old[key].items() if value != new[key][name]}
            if differing:
                found.setdefault(table.name, set()).update(differing)
    return found
