"""One activity is one transaction. Database errors are raised without the values of their statement."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession


class DatabaseError(Exception):
    """A transaction was rolled back. The message has the error's type, SQLSTATE and constraint, nothing else."""


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Commit at the end; roll back on any error. Raises `DatabaseError` in place of SQLAlchemy's errors.

    Messages from SQLAlchemy and Postgres quote parameters and rows: names, addresses, a room. An activity's error is
    stored in the workflow history, so `DatabaseError` has a message of its own and no cause.
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
