"""The migrations run up and down, and match the tables."""

import asyncio
import subprocess

import psycopg
import pytest
from sqlmodel import SQLModel

import models.tables  # noqa: F401 - fills the metadata
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python


def _run_alembic(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python("-m", "alembic", *arguments),
        env=child_environment({"DATABASE_URL": database_url}),
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


async def _alembic(database_url: str, *arguments: str) -> str:
    result = await asyncio.to_thread(_run_alembic, database_url, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def _conninfo(database_url: str) -> str:
    return database_url.replace("postgresql+psycopg://", "postgresql://")


async def _schema_objects(database_url: str) -> set[str]:
    """All tables, types and functions, except for Alembic's own table."""
    query = """
        SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        UNION SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('r', 'm')
        UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """
    async with await psycopg.AsyncConnection.connect(_conninfo(database_url)) as connection:
        rows = await (await connection.execute(query)).fetchall()
    return {row[0] for row in rows} - {"alembic_version"}


async def test_upgrade_downgrade_and_upgrade_again(empty_database_url: str) -> None:
    await _alembic(empty_database_url, "upgrade", "head")
    up = await _schema_objects(empty_database_url)
    assert up >= set(SQLModel.metadata.tables)
    await _alembic(empty_database_url, "downgrade", "base")
    assert await _schema_objects(empty_database_url) == set()
    await _alembic(empty_database_url, "upgrade", "head")
    assert await _schema_objects(empty_database_url) == up


async def test_tables_match_the_migrations(database_url: str) -> None:
    assert "No new upgrade operations detected" in await _alembic(database_url, "check")


async def test_every_timestamp_has_a_time_zone(database_url: str) -> None:
    query = """
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'
    """
    async with await psycopg.AsyncConnection.connect(_conninfo(database_url)) as connection:
        assert await (await connection.execute(query)).fetchall() == []


async def test_migration_sets_a_lock_timeout_first(database_url: str) -> None:
    script = await _alembic(database_url, "upgrade", "head", "--sql")
    assert script.index("SET LOCAL lock_timeout = '5s'") < script.index("CREATE TABLE student")


async def test_failed_migration_changes_nothing(empty_database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(_conninfo(empty_database_url)) as connection:
        await connection.execute("CREATE TABLE audit_event ()")
    result = await asyncio.to_thread(_run_alembic, empty_database_url, "upgrade", "head")
    assert result.returncode != 0
    assert await _schema_objects(empty_database_url) == {"audit_event"}


@pytest.mark.parametrize("table", sorted(SQLModel.metadata.tables))
async def test_every_amount_is_a_bigint(database_url: str, table: str) -> None:
    query = """
        SELECT column_name FROM information_schema.columns
        WHERE table_name = %s AND column_name LIKE '%%\\_minor' AND data_type <> 'bigint'
    """
    async with await psycopg.AsyncConnection.connect(_conninfo(database_url)) as connection:
        assert await (await connection.execute(query, (table,))).fetchall() == []
