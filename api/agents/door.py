"""The agents' door: an MCP server at `/mcp` (Model Context Protocol, streamable HTTP, stateless).

A tool calls the API's own routes, in the same process and with the agent's token. So an agent meets the same rules,
limits and errors as any other program, and there is no second set of them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Request, Response
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp, Receive, Scope, Send

from api.agents.tools import build_server
from api.http.auth import authenticated_caller
from api.http.problems import Kind, Problem

router = APIRouter(include_in_schema=False)


class AgentsDoor:
    """The MCP server of one app. It handles requests while `running`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._sessions: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = build_server(self._app)
        # The protection is for servers that trust whoever reaches them. This one wants a token with each request.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        server.streamable_http_app(stateless_http=True, json_response=True, transport_security=security)
        async with server.session_manager.run():
            self._sessions = server.session_manager
            yield

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._sessions, "handles requests while `running`"
        await self._sessions.handle_request(scope, receive, send)


class _Handled(Response):
    """Leaves the response to the MCP server."""

    def __init__(self, door: AgentsDoor) -> None:
        super().__init__()
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door.handle(scope, receive, send)


@router.post("/mcp", response_class=_Handled)
async def handle_message(request: Request) -> Any:
    """One JSON-RPC message. Only with a service token, since only that has scopes and a limit."""
    caller = await authenticated_caller(request)
    if caller is None:
        detail = "Send a service token: `Authorization: Bearer hft_…`."
        raise Problem(Kind.NOT_SIGNED_IN, detail, headers={"WWW-Authenticate": "Bearer"})
    if caller.token_id is None:
        raise Problem(Kind.SCOPE_MISSING, "An agent needs a service token. Its person creates one.")
    return _Handled(request.app.state.agents)
