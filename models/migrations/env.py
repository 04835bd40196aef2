"""Migrates the database at `DATABASE_URL` to the schema of `models.tables`, in one transaction."""

import asyncio
import os

import sqlmodel
from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

import models.tables  # noqa: F401 - fills the metadata

# A migration that waits for a lock blocks every later query on that table: better to fail, and be run again at a
# quieter time.
_LOCK_TIMEOUT = "5s"
# The same for one that keeps its lock. What takes longer needs none: an index that is created concurrently, say.
_STATEMENT_TIMEOUT = "30s"
_TIMEOUTS = f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'; SET LOCAL statement_timeout = '{_STATEMENT_TIMEOUT}'"


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=sqlmodel.SQLModel.metadata)
    with context.begin_transaction():
        connection.execute(text(_TIMEOUTS))
        context.run_migrations()


async def _migrate_database(database_url: str) -> None:
    engine = create_async_engine(database_url, poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate)
    finally:
        await engine.dispose()


def _print_sql() -> None:
    context.configure(dialect_name="postgresql", target_metadata=sqlmodel.SQLModel.metadata, literal_binds=True)
    with context.begin_transaction():
        context.execute(_TIMEOUTS)
        context.run_migrations()


if context.is_offline_mode():
    _print_sql()
else:
    asyncio.run(_migrate_database(os.environ["DATABASE_URL"]))
