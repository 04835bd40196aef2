"""Creates the schema with the same command as in production."""

import json
from hashlib import sha256

import psycopg
from psycopg import sql

from sandbox.stack.commands import Command, run_to_end
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.postgres import Postgres


async def create_migrated_database(server: Postgres, name: str) -> None:
    """Create a database if it is missing, and run every migration on it that has not run.

    Raises:
        StartupError: a migration failed. The message has Alembic's output.
    """
    connection = await psycopg.AsyncConnection.connect(server.conninfo("postgres"), autocommit=True)
    async with connection:
        found = await connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
        if await found.fetchone() is None:
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


def migration_digests() -> str:
    """The migrations in this checkout by file, as JSON."""
    files = sorted((PROJECT_ROOT / "models/migrations/versions").glob("*.py"))
    return json.dumps({file.name: sha256(file.read_bytes()).hexdigest() for file in files})


def continue_from(earlier: str) -> bool:
    """Whether this checkout's migrations can run on data of `earlier` ones: it may have more, and none has changed."""
    before: dict[str, str] = json.loads(earlier)
    now: dict[str, str] = json.loads(migration_digests())
    return before.items() <= now.items()
