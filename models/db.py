"""The Postgres engine: pooled, built in a composition root and passed to everything that needs it."""

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def build_engine(database_url: str, pool_size: int = 10) -> AsyncEngine:
    """An engine for `postgresql+psycopg://…`; it connects on first use.

    `pool_pre_ping` replaces connections that a restarted Postgres has dropped. The statement timeout keeps a stuck
    query from holding a pooled connection forever. Error messages omit parameters, which may be personal data.
    """
    return create_async_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"options": "-c statement_timeout=10000 -c timezone=UTC"},
    )
