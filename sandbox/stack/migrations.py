"""Creates the schema with the same command as in production."""

import psycopg
from psycopg import sql

from sandbox.stack.commands import Command, run_to_end
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.postgres import Postgres


async def create_migrated_database(server: Postgres, name: str) -> None:
    """Create a database and run every migration on it.

    Raises:
        StartupError: a migration failed. The message has Alembic's output.
    """
    connection = await psycopg.AsyncConnection.connect(server.conninfo("postgres"), autocommit=True)
    async with connection:
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    await alembic(server, name, "upgrade", "head")


async def alembic(server: Postgres, database: str, *arguments: str) -> str:
    """Run Alembic on a database and return its output.

    Raises:
        StartupError: Alembic failed.
    """
    command = Command(
        argv=python("-m", "alembic", *arguments),
        env=child_environment({"DATABASE_URL": server.url(database)}),
        cwd=PROJECT_ROOT,
    )
    return await run_to_end(f"alembic {' '.join(arguments)}", command)
