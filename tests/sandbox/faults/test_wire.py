"""A wire holds back what it is told to, and what its client's death then means for the server is what it would be."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from sandbox.faults import protocols
from sandbox.faults.wire import Moment, Trap, Wire
from tests.conftest import StripeSandbox

TABLE = "CREATE TABLE IF NOT EXISTS held (id uuid)"


@pytest.fixture
async def to_postgres(database_url: str) -> AsyncIterator[Wire]:
    wire = Wire(urlsplit(database_url).port or 0, protocols.transactions)
    await wire.start()
    yield wire
    await wire.stop()


@pytest.fixture
async def to_stripe(stripe_sandbox: StripeSandbox) -> AsyncIterator[Wire]:
    wire = Wire(urlsplit(stripe_sandbox.url).port or 0, protocols.http_requests)
    await wire.start()
    yield wire
    await wire.stop()


def conninfo(database_url: str, port: int | None = None) -> str:
    url = database_url.replace("+psycopg", "")
    return url.replace(f":{urlsplit(url).port}/", f":{port}/") if port else url


async def insert(connection: psycopg.AsyncConnection, id: UUID) -> None:
    await connection.execute("INSERT INTO held VALUES (%s)", [id])


async def is_stored(database_url: str, id: UUID) -> bool:
    async with await psycopg.AsyncConnection.connect(conninfo(database_url)) as connection:
        found = await connection.execute("SELECT 1 FROM held WHERE id = %s", [id])
        return await found.fetchone() is not None


@pytest.mark.parametrize(("moment", "stored"), [(Moment.BEFORE, False), (Moment.BETWEEN, True)])
async def test_client_that_dies_with_its_commit_on_the_way(
    to_postgres: Wire, database_url: str, moment: Moment, stored: bool
) -> None:
    id = uuid4()
    trap = Trap(lambda text: b"INSERT INTO held" in text and protocols.mentions(text, id), moment)
    async with await psycopg.AsyncConnection.connect(conninfo(database_url, to_postgres.port)) as connection:
        await connection.execute(TABLE)
        for _ in range(6):  # psycopg prepares a statement the sixth time, and then sends its name only
            await insert(connection, uuid4())
            await connection.commit()
        to_postgres.set_trap(trap)
        await insert(connection, id)
        committing = asyncio.create_task(connection.commit())
        await asyncio.wait_for(trap.reached.wait(), 5)
        assert await is_stored(database_url, id) is stored
        # As the kernel does for a process that is killed.
        connection.pgconn.finish()
        committing.cancel()
        await asyncio.sleep(0.1)
    to_postgres.remove_trap(trap)
    await asyncio.sleep(0.1)
    assert await is_stored(database_url, id) is stored


async def test_released_commit_arrives(to_postgres: Wire, database_url: str) -> None:
    id = uuid4()
    trap = Trap(lambda text: protocols.mentions(text, id), Moment.BEFORE)
    to_postgres.set_trap(trap)
    async with await psycopg.AsyncConnection.connect(conninfo(database_url, to_postgres.port)) as connection:
        await connection.execute(TABLE)
        await insert(connection, id)
        committing = asyncio.create_task(connection.commit())
        await asyncio.wait_for(trap.reached.wait(), 5)
        to_postgres.remove_trap(trap)
        await committing
    assert await is_stored(database_url, id)


@pytest.mark.parametrize(("moment", "made"), [(Moment.BEFORE, 0), (Moment.BETWEEN, 1)])
async def test_caller_of_stripe_that_dies(
    to_stripe: Wire, stripe_sandbox: StripeSandbox, moment: Moment, made: int
) -> None:
    email = f"{uuid4()}@students.example"
    trap = Trap(lambda text: text.startswith(b"POST /v1/customers ") and email.encode()[:36] in text, moment)
    to_stripe.set_trap(trap)
    headers = {"Authorization": f"Bearer {stripe_sandbox.key}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
        url = f"http://127.0.0.1:{to_stripe.port}/v1/customers"
        posting = asyncio.create_task(client.post(url, data={"email": email}))
        await asyncio.wait_for(trap.reached.wait(), 5)
        posting.cancel()
        await asyncio.sleep(0.1)
        to_stripe.remove_trap(trap)
        await asyncio.sleep(0.1)
        found = await client.get(f"{stripe_sandbox.url}/v1/customers", params={"email": email})
    assert len(found.json()["data"]) == made


async def test_slow_wire_is_late_in_both_directions(to_stripe: Wire) -> None:
    to_stripe.delay = 0.2
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{to_stripe.port}/_sandbox/health")
    assert answer.elapsed.total_seconds() >= 0.4
