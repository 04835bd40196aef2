"""Calls of the API's routes from a tool: in this process, and with the agent's own token."""

import json
from typing import Any

import httpx
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.auth import BY_AGENT
from models import logs

Json = dict[str, Any]
AgentContext = Context[Any, Request]

_ORIGIN = "http://agents.invalid"
"""Nothing is sent there: the request never leaves the process."""
_MEMBERS = {"type", "title", "status", "detail", "request_id"}
"""Members of any problem. The others say more about this one."""


class ApiCalls:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def get(self, context: AgentContext, path: str, **params: Any) -> Json:
        """The response's JSON. Raises `ToolError` with what the problem says."""
        given = {name: value for name, value in params.items() if value is not None}
        return await self._call(context, "GET", path, params=given)

    async def post(self, context: AgentContext, path: str, body: Json | None = None, key: str | None = None) -> Json:
        """The same. With a `key`, the call takes effect once."""
        return await self._call(context, "POST", path, json=body, headers={"Idempotency-Key": key} if key else {})

    async def _call(
        self, context: AgentContext, method: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> Json:
        request = context.request_context.request
        assert request is not None, "a tool is called over HTTP"
        given = {"Authorization": request.headers["Authorization"], "X-Request-Id": str(logs.bound()[logs.REQUEST_ID])}
        client = (request.client.host, request.client.port) if request.client else ("", 0)
        transport = httpx.ASGITransport(app=self._as_agent, client=client)
        async with httpx.AsyncClient(transport=transport, base_url=_ORIGIN) as api:
            answer = await api.request(method, path, headers=given | (headers or {}), **more)
        if answer.is_error:
            raise _error(answer)
        found: Json = answer.json()
        return found

    async def _as_agent(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, BY_AGENT: True}, receive, send)


def _error(answer: httpx.Response) -> ToolError:
    problem = answer.json()
    more = {name: value for name, value in problem.items() if name not in _MEMBERS}
    text = f"{problem['title']} {problem.get('detail') or ''} ({problem['type']})"
    return ToolError(f"{text} {json.dumps(more)}" if more else text)
