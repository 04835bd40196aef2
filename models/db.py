"""The Postgres engine: pooled, built in a composition root and passed to everything that needs it."""

import select
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""So that the kernel knows within a minute of a server that is gone without a word, and no firewall forgets us."""


def build_engine(database_url: str, pool_size: int = 10) -> AsyncEngine:
    """An engine for `postgresql+psycopg://…`; it connects on first use.

    Connections that a restarted Postgres has dropped are replaced. The statement timeout keeps a stuck query from
    holding a pooled connection forever. Error messages omit parameters, which may be personal data.
    """
    engine = create_async_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=pool_size,
        hide_parameters=True,
        connect_args={"options": "-c statement_timeout=10000 -c timezone=UTC", **_KEEPALIVE},
    )
    event.listen(engine.sync_engine, "checkout", _refuse_if_closed)
    return engine


def _refuse_if_closed(_: object, record: Any, __: object) -> None:
    """The pool then takes a new connection. Nothing is read from an idle connection unless its server has closed it.

    SQLAlchemy's `pool_pre_ping` asks the server instead: one more statement for each transaction.
    """
    connection = record.driver_connection
    poll = select.poll()
    if not connection.closed:
        poll.register(connection.fileno(), select.POLLIN)
    if connection.closed or poll.poll(0):
        raise DisconnectionError
