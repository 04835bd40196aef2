"""Prometheus metrics, on a port of their own: not for the public, and rendered outside the event loop."""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from fastapi import FastAPI
from prometheus_client import make_wsgi_app
from sqlalchemy.exc import SQLAlchemyError

from api.reconciliation.gauges import ReconciliationGauges
from api.reports.attention import AttentionGauges, TaskQueueGauges
from api.reports.gauges import BusinessGauges

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_TIMEOUT = timedelta(seconds=2)
_POLL_SECONDS = 0.1
"""How soon the server notices that it is to stop."""

log = logging.getLogger("holdfast.api")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _IPv6Server(_Server):
    address_family = socket.AF_INET6


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve_metrics(app: FastAPI, host: str, port: int) -> Iterator[int]:
    """Serve the app's metrics until the block ends. Yields the port, which is a free one for 0.

    The gauges are read from Postgres on the event loop. While Postgres is down, they keep their last values.
    Raises `OSError` if the address is in use.
    """
    loop, render = asyncio.get_running_loop(), make_wsgi_app(app.state.metrics.registry)

    def respond(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        refreshing = asyncio.run_coroutine_threadsafe(_refresh(app), loop)
        try:
            # A loop that is too busy to refresh them must not keep the metrics from being read.
            refreshing.result(2 * _TIMEOUT.total_seconds())
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            refreshing.cancel()
            log.warning("metrics not refreshed: %s", type(error).__name__)
        body: Iterable[bytes] = render(environ, start_response)
        return body

    server = (_IPv6Server if ":" in host else _Server)((host, port), _SilentHandler)
    server.set_app(respond)
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def _refresh(app: FastAPI) -> None:
    task_queue: TaskQueueGauges = app.state.task_queue_gauges
    queue_name: str = app.state.settings.runtime.holdfast_task_queue
    async with asyncio.timeout(_TIMEOUT.total_seconds()):
        # Of Temporal even while Postgres is down.
        await asyncio.gather(
            _read_records(app), task_queue.refresh(app.state.temporal, queue_name, timeout=_TIMEOUT / 2)
        )


async def _read_records(app: FastAPI) -> None:
    attention: AttentionGauges = app.state.attention_gauges
    business: BusinessGauges = app.state.business_gauges
    reconciliation: ReconciliationGauges = app.state.reconciliation_gauges
    # First what calls an operator.
    await attention.refresh(app.state.database)
    await reconciliation.refresh(app.state.database)
    await business.refresh(app.state.database)
