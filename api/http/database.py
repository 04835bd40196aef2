"""Database access for requests: short reads without a transaction, and at most one write transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession


class Database:
    """Both context managers return their connection to the pool on exit. Do not hold one across a call to Temporal."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # Each read is a single statement, so BEGIN and ROLLBACK would only add round trips.
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self._reading, autoflush=False, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
            yield session


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


WithDatabase = Annotated[Database, Depends(_database)]
