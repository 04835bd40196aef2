"""A webhook endpoint for tests: it keeps what it got and answers what it is told to."""

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
        self.got: list[tuple[bytes, str]] = []
        self.answers: list[int] = []
        self._changed = asyncio.Condition()

    async def take(self, request: Request) -> Response:
        async with self._changed:
            self.got.append((await request.body(), request.headers["stripe-signature"]))
            self._changed.notify_all()
        return Response(status_code=self.answers.pop(0) if self.answers else 200)

    async def wait_for(self, count: int) -> list[tuple[bytes, str]]:
        async with self._changed, asyncio.timeout(20):
            await self._changed.wait_for(lambda: len(self.got) >= count)
        return self.got


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver = Receiver(f"http://127.0.0.1:{listener.getsockname()[1]}/hook")
        app = Starlette(routes=[Route("/hook", receiver.take, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
        running = asyncio.create_task(server._serve([listener]))
        try:
            yield receiver
        finally:
            server.should_exit = True
            await running
