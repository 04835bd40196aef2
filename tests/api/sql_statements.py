"""The SQL statements that a request sends, and their query plans."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

_AUTHENTICATION = ("SELECT (SELECT credential.generation", "SELECT operator.id")


_FORGET_STATISTICS = """
SELECT pg_clear_attribute_stats(schemaname, tablename, attname, inherited) FROM pg_stats WHERE schemaname = 'public'
UNION ALL SELECT pg_clear_relation_stats('public', relname) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')
"""


@contextmanager
def noted(engine: AsyncEngine) -> Iterator[list[tuple[str, Any]]]:
    """The statements sent inside the block, with their parameters.

    Without the one that authenticates the caller: it reads the generation of their token, or the operator's row.
    """
    statements: list[tuple[str, Any]] = []

    def append(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if not statement.startswith(_AUTHENTICATION):
            statements.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", append)
    try:
        yield statements
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", append)


async def plan(engine: AsyncEngine, statement: str, parameters: Any, without: tuple[str, ...] = ()) -> str:
    """The query plan with sequential scans and sorts disabled, and the methods in `without`.

    As for tables that were never analyzed: autovacuum may have counted the rows of an earlier test, or none.
    """
    async with engine.connect() as connection:
        await connection.execute(text(_FORGET_STATISTICS))
        for method in ("seqscan", "sort", "incremental_sort", *without):
            await connection.execute(text(f"SET LOCAL enable_{method} = off"))
        rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return "\n".join(row[0] for row in rows)
