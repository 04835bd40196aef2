"""HTTP to an app in the same process, without a socket. An incomplete response is a dropped connection."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import httpx
from starlette.applications import Starlette


class InProcessTransport(httpx.AsyncBaseTransport):
    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        status, headers, parts, is_complete = 0, [], [], False

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal status, headers, is_complete
            if message["type"] == "http.response.start":
                status, headers = message["status"], message["headers"]
            else:
                parts.append(message["body"])
                is_complete = not message.get("more_body")

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": "http",
            "path": request.url.path,
            "raw_path": request.url.raw_path,
            "query_string": request.url.query,
            "server": ("sandbox", 80),
            "client": ("test", 1),
            "root_path": "",
        }
        await self._app(scope, receive, send)
        if not is_complete:
            raise httpx.ReadError("the connection was dropped")
        return httpx.Response(status, headers=headers, content=b"".join(parts))


class InProcessClient:
    """A client of an app in this process, for tests without an event loop."""

    def __init__(self, app: Starlette) -> None:
        self._loop = asyncio.Runner()
        self._client = httpx.AsyncClient(transport=InProcessTransport(app), base_url="http://sandbox", trust_env=False)

    def send(self, method: str, path: str, **more: Any) -> httpx.Response | None:
        """The response, or None for a dropped connection."""
        try:
            return self._loop.run(self._client.request(method, path, **more))
        except httpx.ReadError:
            return None

    def close(self) -> None:
        self._loop.run(self._client.aclose())
        self._loop.close()
