"""The schema comes from the migrations: up, down, up again, and in step with the tables."""

import asyncio
import subprocess

import psycopg
import pytest
from sqlmodel import SQLModel

import models.tables  # noqa: F401 - fills the metadata
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python


def _run(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python("-m", "alembic", *arguments),
        env=child_environment({"DATABASE_URL": database_url}),
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


async def _alembic(database_url: str, *arguments: str) -> str:
    done = await asyncio.to_thread(_run, database_url, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _conninfo(database_url: str) -> str:
    return database_url.replace("postgresql+psycopg://", "postgresql://")


async def _ours(database_url: str) -> set[str]:
    """Tables, types and functions of ours, besides Alembic's own table."""
    query = """
        SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        UNION SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('r', 'm')
        UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """
    async with await psycopg.AsyncConnection.connect(_conninfo(database_url)) as connection:
        rows = await (await connection.execute(query)).fetchall()
    return {row[0] for row in rows} - {"alembic_version"}


async def test_migrations_go_up_and_down_and_up_again_and_leave_nothing_below(empty_database_url: str) -> None:
    await _alembic(empty_database_url, "upgrade", "head")
    up = await _ours(empty_database_url)
    assert up >= set(SQLModel.metadata.tables)
    await _alembic(empty_database_url, "downgrade", "base")
    assert await _ours(empty_database_url) == set()
    await _alembic(empty_database_url, "upgrade", "head")
    assert await _ours(empty_database_url) == up


async def test_tables_and_migrations_are_in_step(database_url: str) -> None:
    assert "No new upgrade operations detected" in await _alembic(database_url, "check")


async def test_every_time_has_a_zone(database_url: str) -> None:
    query = """
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'
    """
    async with await psycopg.AsyncConnection.connect(_conninfo(database_url)) as connection:
        assert await (await connection.execute(query)).fetchall() == []


async def test_a_migration_does_not_queue_behind_a_long_transaction(database_url: str) -> None:
    script = await _alembic(database_url, "upgrade", "head", "--sql")
    assert script.index("SET LOCAL lock_timeout = '5s'") < script.index("CREATE TABLE student")


async def test_a_migration_that_fails_changes_nothing(empty_database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(_conninfo(empty_database_url)) as connection:
        await connection.execute("CREATE TABLE audit_event ()")
    done = await asyncio.to_thread(_run, empty_database_url, "upgrade", "head")
    assert done.returncode != 0
    assert await _ours(empty_database_url) == {"audit_event"}


@pytest.mark.parametrize("table", sorted(SQLModel.metadata.tables))
async def test_every_amount_has_room_for_any_currency(database_url: str, table: str) -> None:
    query = """
        SELECT column_name FROM information_schema.columns
        WHERE table_name = %s AND column_name LIKE '%%\\_minor' AND data_type <> 'bigint'
    """
    async with await psycopg.AsyncConnection.connect(_conninfo(database_url)) as connection:
        assert await (await connection.execute(query, (table,))).fetchall() == []
