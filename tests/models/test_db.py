"""The engine's pool."""

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def _connection(session: AsyncSession) -> int:
    """The server's process for the session's connection."""
    return int((await session.exec(select(func.pg_backend_pid()))).one())


async def test_connections_that_the_server_has_closed_are_replaced(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as first, AsyncSession(engine) as second:
        pid, other = await _connection(first), await _connection(second)
    async with AsyncSession(engine) as session:
        pid = pid if await _connection(session) == other else other
        # Waits until the connection is gone.
        assert (await session.exec(select(func.pg_terminate_backend(pid, 5000)))).one()
        async with AsyncSession(engine) as replaced:
            assert await _connection(replaced) not in (pid, other)


async def test_connections_are_used_again(engine: AsyncEngine) -> None:
    connections = set()
    for _ in range(2):
        async with AsyncSession(engine) as session:
            connections.add(await _connection(session))
    assert len(connections) == 1
