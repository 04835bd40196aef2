"""The database of the tests that need our schema: one per process, emptied before each test.

A new database per test costs 0.3 seconds of CPU, nearly all of it in the kernel, which copies 300 files.
"""

from typing import LiteralString

import psycopg
from psycopg import sql

from sandbox.stack.postgres import Postgres

# What a test can change besides rows: tables, indexes, constraints, and whether a trigger is enabled.
_SCHEMA: LiteralString = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT tgname || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
ORDER BY 1
"""

# `pg_terminate_backend` waits for at most so many milliseconds until the connection is gone.
_DISCONNECT_OTHERS: LiteralString = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""

_TABLES: LiteralString = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
"""

_RESTART_SEQUENCES: LiteralString = """
SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
"""


def create_database(postgres: Postgres, name: str, *, template: str) -> None:
    _administer(
        postgres,
        # One may be left from a test that was interrupted here.
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)),
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)),
        # Nothing here needs to survive a crash, so a commit need not wait for its write.
        sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name)),
    )


def drop_database(postgres: Postgres, name: str) -> None:
    _administer(postgres, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


class ReusedDatabase:
    """A copy of `template`, whose rows are deleted before each use.

    A test that changed the schema, and did not change it back, costs a new copy.
    """

    def __init__(self, postgres: Postgres, name: str, *, template: str) -> None:
        self._postgres = postgres
        self._name = name
        self._template = template
        self._connection: psycopg.Connection | None = None
        self._empty: sql.Composed | None = None
        self._schema: list[tuple[str]] = []

    def emptied(self) -> str:
        """The URL of the database, without rows and without connections of an earlier test."""
        if self._connection and self._connection.execute(_SCHEMA).fetchall() != self._schema:
            self.drop()
        if not self._connection:
            self._connection = self._create()
        assert self._empty
        self._connection.execute(_DISCONNECT_OTHERS)
        self._connection.execute(self._empty)
        return self._postgres.url(self._name)

    def drop(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None
            drop_database(self._postgres, self._name)

    def _create(self) -> psycopg.Connection:
        create_database(self._postgres, self._name, template=self._template)
        connection = psycopg.connect(self._postgres.conninfo(self._name), autocommit=True)
        self._schema = connection.execute(_SCHEMA).fetchall()
        deletes = [sql.SQL("DELETE FROM {}").format(sql.Identifier(table)) for (table,) in connection.execute(_TABLES)]
        # The role of a replica fires no trigger: not those that refuse deletions, and not those of foreign keys.
        self._empty = sql.SQL("; ").join(
            [
                sql.SQL("BEGIN"),
                sql.SQL("SET LOCAL session_replication_role = replica"),
                *deletes,
                sql.SQL(_RESTART_SEQUENCES),
                sql.SQL("COMMIT"),
            ]
        )
        return connection


def _administer(postgres: Postgres, *statements: sql.Composed) -> None:
    with psycopg.connect(postgres.conninfo("postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
