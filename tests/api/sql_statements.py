"""The SQL statements that a request sends, and their query plans."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine


@contextmanager
def noted(engine: AsyncEngine) -> Iterator[list[tuple[str, Any]]]:
    """The statements sent inside the block, with their parameters.

    Without the one that authenticates the caller, which checks the generation of their token.
    """
    statements: list[tuple[str, Any]] = []

    def append(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if not statement.startswith("SELECT credential.generation"):
            statements.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", append)
    try:
        yield statements
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", append)


async def plan(engine: AsyncEngine, statement: str, parameters: Any) -> str:
    """The query plan with sequential scans and sorts disabled."""
    async with engine.connect() as connection:
        for method in ("seqscan", "sort", "incremental_sort"):
            await connection.execute(text(f"SET LOCAL enable_{method} = off"))
        rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return "\n".join(row[0] for row in rows)
