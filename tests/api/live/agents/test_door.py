"""A real MCP client books for a person, within scopes and a limit, and cancels at the quoted refund."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.policy import PaymentPlan
from models.domain.states import PaymentStatus
from models.tables.audit import AuditEvent
from models.tables.payments import Payment
from sandbox.browser.checkout_page import GOOD_CARD, pay
from tests.api.live.journey import seen
from tests.api.service_tokens import token_of
from tests.api.stripe_events import AUTHORIZED, event, send
from tests.api.world import JSON, PRICE, World, add_student

SCOPES = ("bookings:read", "bookings:write")
LIMIT = {"amount_minor": 15_000, "currency": "usd"}
"""One booking costs 10,000."""


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The app on a port, since an MCP client comes over HTTP. Not a fixture, whose end would be in another task."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        async with app.state.agents.running():
            running = asyncio.create_task(server._serve([listener]))
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
            finally:
                server.should_exit = True
                await running


@asynccontextmanager
async def agent(app: FastAPI, headers: dict[str, str]) -> AsyncIterator[Client]:
    async with (
        served(app) as url,
        httpx2.AsyncClient(headers=headers, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> JSON:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    found: JSON = result.structured_content
    return found


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def quoted(client: Client, world: World) -> JSON:
    """The arguments of `book_session`, for the first free time that the agent finds."""
    offerings = await call(client, "search_offerings", words="counter")
    assert [each["id"] for each in offerings["data"]] == [str(world.offering_id)]
    times = await call(client, "list_free_times", offering_id=str(world.offering_id))
    starts_at = times["data"][0]["starts_at"]
    quote = await call(client, "quote_booking", offering_id=str(world.offering_id), starts_at=starts_at)
    assert quote["slot"] == times["data"][0]
    return {
        "slot_id": quote["slot"]["id"],
        "price_minor": quote["price"]["total"]["amount_minor"],
        "currency": quote["price"]["currency"],
        "policy_version": quote["policy"]["version"],
    }


async def channels(world: World, booking_id: str) -> dict[str, tuple[str, UUID | None]]:
    query = select(AuditEvent).where(col(AuditEvent.booking_id) == UUID(booking_id))
    async with AsyncSession(world.engine) as session:
        return {event.action: (event.channel, event.token_id) for event in await session.exec(query)}


@pytest.mark.usefixtures("worker")
async def test_agent_books_is_refused_over_its_limit_and_cancels_at_the_quoted_refund(
    app: FastAPI, client: httpx.AsyncClient, world: World
) -> None:
    await world.slot(timedelta(days=3))
    await world.slot(timedelta(days=4))
    headers = await token_of(client, world.student, *SCOPES, spend_limit=LIMIT)
    listed = await client.get("/v1/service-tokens", headers=world.student.headers)
    token_id = UUID(listed.json()["data"][0]["id"])

    async with agent(app, headers) as client_of_agent:
        order = await quoted(client_of_agent, world)
        assert order["price_minor"] == 10_000
        booked = await call(client_of_agent, "book_session", **order, request_key="lesson")
        again = await call(client_of_agent, "book_session", **order, request_key="lesson")
        assert (again["booking_id"], again["payment_url"]) == (booked["booking_id"], booked["payment_url"])
        booking_id = booked["booking_id"]

        assert await pay(booked["payment_url"], GOOD_CARD)
        assert (await send(client, event(AUTHORIZED, booking_id))).status_code == 200
        await seen(client, world.student, booking_id, lambda shown: shown["payment"] is not None)
        assert (await call(client_of_agent, "get_booking", booking_id=booking_id))["payment"]["status"] == "PENDING"

        other = await quoted(client_of_agent, world)
        why = await refused(client_of_agent, "book_session", **other, request_key="another")
        assert "spend-limit-reached" in why
        assert '"spent": {"amount_minor": 10000, "currency": "usd"}' in why

        quote = await call(client_of_agent, "quote_cancellation", booking_id=booking_id)
        assert quote["refund"]["amount_minor"] == 10_000
        why = await refused(client_of_agent, "cancel_booking", booking_id=booking_id, refund_minor=5_000)
        assert "The refund is now" in why
        cancelled = await call(client_of_agent, "cancel_booking", booking_id=booking_id, refund_minor=10_000)
        assert (cancelled["status"], cancelled["payment"]["returned"]["amount_minor"]) == ("CANCELLED", 10_000)

        # What came back can be spent again.
        assert (await call(client_of_agent, "book_session", **other, request_key="a third"))["payment_url"]

    by_agent = ("agent", token_id)
    found = await channels(world, booking_id)
    assert (found["booking.reserved"], found["booking.cancelled"]) == (by_agent, by_agent)


async def test_tools_are_listed_with_their_effects(app: FastAPI, client: httpx.AsyncClient, world: World) -> None:
    async with agent(app, await token_of(client, world.student, *SCOPES)) as client_of_agent:
        tools = {tool.name: tool for tool in (await client_of_agent.list_tools()).tools}
    changing = {name for name, tool in tools.items() if tool.annotations and not tool.annotations.read_only_hint}
    assert changing == {
        "book_session",
        "cancel_booking",
        "propose_reschedule",
        "accept_reschedule",
        "decline_reschedule",
    }
    assert all(tool.description for tool in tools.values())
    assert all(
        "description" in parameter
        for tool in tools.values()
        for parameter in tool.input_schema.get("properties", {}).values()
    )


async def test_agent_needs_the_scope(app: FastAPI, client: httpx.AsyncClient, world: World) -> None:
    slot_id = await world.slot()
    async with agent(app, await token_of(client, world.student, "bookings:read")) as client_of_agent:
        order = await quoted(client_of_agent, world)
        assert order["slot_id"] == str(slot_id)
        why = await refused(client_of_agent, "book_session", **order, request_key="lesson")
        assert "scope-missing" in why
        assert '"scope": "bookings:write"' in why


async def test_changed_price_is_refused(app: FastAPI, client: httpx.AsyncClient, world: World) -> None:
    await world.slot()
    async with agent(app, await token_of(client, world.student, *SCOPES)) as client_of_agent:
        order = await quoted(client_of_agent, world)
        why = await refused(client_of_agent, "book_session", **order | {"price_minor": 9_000}, request_key="lesson")
        assert "price-changed" in why


async def test_a_strangers_booking_is_not_found(app: FastAPI, client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking(student=await add_student(world.engine))
    async with agent(app, await token_of(client, world.student, *SCOPES)) as client_of_agent:
        assert "not-found" in await refused(client_of_agent, "get_booking", booking_id=str(booking_id))


async def test_agent_proposes_another_time(app: FastAPI, client: httpx.AsyncClient, world: World) -> None:
    booking_id, other = await world.booking(), await world.slot(timedelta(days=3))
    async with agent(app, await token_of(client, world.student, *SCOPES)) as client_of_agent:
        why = await refused(client_of_agent, "propose_reschedule", booking_id=str(booking_id), slot_id=str(other))
        assert "Only a paid booking can be rescheduled." in why
        now = datetime.now(UTC)
        payment = Payment(
            booking_id=booking_id,
            plan=PaymentPlan.HOLD,
            status=PaymentStatus.PENDING,
            amount_minor=PRICE.amount_minor,
            currency=PRICE.currency,
            hold_ends_at=now + timedelta(days=7),
            created_at=now,
            updated_at=now,
        )
        await world.add(payment)
        arguments = {"booking_id": str(booking_id), "slot_id": str(other)}
        booking = await call(client_of_agent, "propose_reschedule", **arguments)
        assert (booking["proposal"]["slot_id"], booking["proposal"]["proposed_by"]) == (str(other), "student")
        withdrawn = await call(client_of_agent, "decline_reschedule", booking_id=str(booking_id))
        assert withdrawn["proposal"] is None
    assert (await channels(world, str(booking_id)))["booking.reschedule_proposed"][0] == "agent"


async def test_only_service_tokens_are_let_in(app: FastAPI, client: httpx.AsyncClient, world: World) -> None:
    async with served(app) as url, httpx.AsyncClient(trust_env=False) as http:
        nobody = await http.post(url, json={})
        person = await http.post(url, json={}, headers=world.student.headers)
    assert (nobody.status_code, nobody.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (person.status_code, person.json()["type"]) == (403, "urn:holdfast:problem:scope-missing")
    assert await token_of(client, world.student, *SCOPES)
