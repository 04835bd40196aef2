"""A webhook endpoint for tests. It records deliveries and responds with the configured statuses."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Receiver:
    def __init__(self, url: str) -> None:
        self.url = url
        self.deliveries: list[tuple[bytes, str]] = []
        self.statuses: list[int] = []
        """The next responses. 200 once it is empty."""
        self._changed = asyncio.Condition()

    async def receive(self, request: Request) -> Response:
        async with self._changed:
            self.deliveries.append((await request.body(), request.headers["stripe-signature"]))
            self._changed.notify_all()
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200)

    async def wait_for(self, count: int) -> list[tuple[bytes, str]]:
        async with self._changed, asyncio.timeout(20):
            await self._changed.wait_for(lambda: len(self.deliveries) >= count)
        return self.deliveries


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver = Receiver(f"http://127.0.0.1:{listener.getsockname()[1]}/hook")
        app = Starlette(routes=[Route("/hook", receiver.receive, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
        running = asyncio.create_task(server._serve([listener]))
        try:
            yield receiver
        finally:
            server.should_exit = True
            await running
