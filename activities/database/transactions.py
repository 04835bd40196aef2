"""One activity is one transaction, and what Postgres refuses is told without the values it was given."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession


class DatabaseError(Exception):
    """A transaction was rolled back. Says the kind of error, its SQLSTATE and the constraint, nothing else."""


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Commits at its end, rolls back on any error. Raises `DatabaseError` for one of the database's.

    SQLAlchemy's and Postgres' own messages quote parameters and rows: names, addresses, a room. An activity's error
    ends in a workflow's history, so it is made anew and carries no cause.
    """
    try:
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            yield session
    except StatementError as error:
        raise DatabaseError(_without_values(error)) from None


def _without_values(error: StatementError) -> str:
    diagnostics = getattr(error.orig, "diag", None)
    parts = (
        type(error.orig or error).__name__,
        getattr(error.orig, "sqlstate", None),
        getattr(diagnostics, "constraint_name", None),
    )
    return " ".join(part for part in parts if part)
