"""The one way to Postgres: a pooled engine, built in a composition root and handed in."""

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def build_engine(database_url: str, pool_size: int = 10) -> AsyncEngine:
    """An engine for `postgresql+psycopg://…`; it connects when it is first used.

    `pool_pre_ping` replaces connections that a restarted Postgres has dropped; the statement time-out keeps a
    stuck query from holding a pooled connection for ever; errors name no parameters, which may be personal.
    """
    return create_async_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"options": "-c statement_timeout=10000 -c timezone=UTC"},
    )
