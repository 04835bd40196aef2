"""What docs/quickstart.md describes: receive a verified webhook, book with the generated client, book with an agent.

python docs/examples/integrator.py --api URL --operator-token TOKEN
"""

import argparse
import asyncio
import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import httpx
import httpx2
from holdfast_client import AuthenticatedClient, Client
from holdfast_client.api.bookings import create_booking
from holdfast_client.api.catalogue import list_offerings, list_slots
from holdfast_client.api.people import sign_in, sign_up
from holdfast_client.api.service_tokens import create_service_token
from holdfast_client.api.webhooks import create_webhook
from holdfast_client.models import NewBooking, NewServiceToken, NewWebhook, SignIn, SignUp
from mcp import Client as Agent
from mcp.client.streamable_http import streamable_http_client
from standardwebhooks import Webhook

TIMEOUT = httpx.Timeout(30)
PASSWORD = "eight bells and a red kite"  # noqa: S105 - it opens nothing


class Receiver:
    """Your endpoint: it verifies each message before it believes it."""

    def __init__(self) -> None:
        self.secret = ""
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._server = HTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/holdfast"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.messages.put(Webhook(receiver.secret).verify(body, dict(self.headers.items())))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        return Handler


def subscribe(api: str, operator_token: str, receiver: Receiver) -> None:
    with AuthenticatedClient(api, token=operator_token, timeout=TIMEOUT) as operator:
        body = NewWebhook.from_dict({"url": receiver.url, "events": ["booking.created"]})
        receiver.secret = create_webhook.sync(client=operator, body=body).secret


def student(api: str) -> AuthenticatedClient:
    known = {"email": f"{uuid4()}@integrator.example", "password": PASSWORD}
    with Client(api, timeout=TIMEOUT) as anyone:
        sign_up.sync(client=anyone, body=SignUp.from_dict(known | {"name": "Ada Byron", "role": "student"}))
        token = sign_in.sync(client=anyone, body=SignIn.from_dict(known)).access_token
    return AuthenticatedClient(api, token=token, timeout=TIMEOUT)


def book(client: AuthenticatedClient, offering_id: Any) -> Any:
    slot = list_slots.sync(client=client, offering_id=offering_id).data[0]
    body = NewBooking.from_dict({"slot_id": str(slot.id)})
    return create_booking.sync(client=client, body=body, idempotency_key=str(uuid4()))


def a_token(client: AuthenticatedClient) -> str:
    body = {
        "name": "My assistant",
        "scopes": ["bookings:read", "bookings:write"],
        "spend_limit": {"amount_minor": 1_000_000, "currency": "usd"},
    }
    token: str = create_service_token.sync(client=client, body=NewServiceToken.from_dict(body)).token
    return token


async def book_as_agent(api: str, token: str, offering_id: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}

    async def call(tool: str, **arguments: Any) -> Any:
        result = await agent.call_tool(tool, arguments)
        if result.is_error:
            raise SystemExit(f"{tool}: {result.content}")
        return result.structured_content

    async with (
        httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as connection,
        Agent(streamable_http_client(f"{api}/mcp", http_client=connection)) as agent,
    ):
        times = await call("list_free_times", offering_id=str(offering_id))
        at = times["data"][0]["starts_at"]
        quote = await call("quote_booking", offering_id=str(offering_id), starts_at=at)
        booked: dict[str, Any] = await call(
            "book_session",
            slot_id=quote["slot"]["id"],
            price_minor=quote["price"]["total"]["amount_minor"],
            currency=quote["price"]["currency"],
            policy_version=quote["policy"]["version"],
            request_key=str(uuid4()),
        )
    return booked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api", required=True)
    parser.add_argument("--operator-token", required=True)
    parser.add_argument("--words", default="counterpoint", help="finds the offering to book; default: %(default)s")
    arguments = parser.parse_args()
    api = arguments.api

    receiver = Receiver()
    subscribe(api, arguments.operator_token, receiver)
    with Client(api, timeout=TIMEOUT) as anyone:
        offering = list_offerings.sync(client=anyone, q=arguments.words).data[0]
    with student(api) as ada:
        made = book(ada, offering.id)
        print(f"Booked with the client. Pay at {made.checkout_url}")
        message = receiver.messages.get(timeout=60)
        print(f"Received and verified: {json.dumps(message)}")
        assert message["data"]["booking_id"] == str(made.id)
    # Somebody else: a student has one unpaid booking per instructor.
    with student(api) as grace:
        booked = asyncio.run(book_as_agent(api, a_token(grace), offering.id))
    print(f"Booked as an agent. Pay at {booked['payment_url']}")


if __name__ == "__main__":
    main()
