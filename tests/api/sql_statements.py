"""What a request asks of Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine


@contextmanager
def noted(engine: AsyncEngine) -> Iterator[list[tuple[str, Any]]]:
    """The statements, with their parameters, that are sent meanwhile.

    Without the one by which a caller is let in: whether their token is older than their password.
    """
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if not statement.startswith("SELECT credential.generation"):
            statements.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


async def plan(engine: AsyncEngine, statement: str, parameters: Any) -> str:
    """How Postgres would go about it if it may not read a whole table in order, nor sort it."""
    async with engine.connect() as connection:
        for way in ("seqscan", "sort", "incremental_sort"):
            await connection.execute(text(f"SET LOCAL enable_{way} = off"))
        rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return "\n".join(row[0] for row in rows)
