"""One booking under test: its people, what they ask for, and what they are told."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4

import httpx
import stripe

from models.domain import ids
from models.domain.stripe_events import BOOKING_METADATA
from sandbox.browser.checkout_page import CheckoutClosed, pay
from sandbox.demo.marketplace import Marketplace, Pair
from sandbox.demo.people import Json, Person, Unexpected

_PAUSE_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 90


class Stance(StrEnum):
    """What people do if the answer to their request is none, or says that its outcome is not known."""

    REPEATS = "repeats"
    """They send it again with its key, until they are told."""
    SILENT = "silent"
    """They never do."""
    OTHERWISE = "otherwise"
    """They decide something else."""


@dataclass(frozen=True)
class Answer:
    request: str
    status: int | None
    """`None`: the connection broke."""
    body: Json
    key: str = ""
    """The request's idempotency key."""

    @property
    def is_definite(self) -> bool:
        return self.status is not None and self.status < httpx.codes.INTERNAL_SERVER_ERROR

    @property
    def is_success(self) -> bool:
        return self.status is not None and httpx.codes.is_success(self.status)


@dataclass
class Played:
    """What became of a booking, besides what the books have."""

    answers: list[Answer] = field(default_factory=list)
    copies: int = 1
    """How often each of its mails may arrive. A sender that dies cannot know whether the server has the mail."""
    is_terminated: bool = False
    """Its workflow was ended in Temporal's UI: which decision counted last is then not known."""


@dataclass(kw_only=True)
class Play(Played):
    market: Marketplace
    pair: Pair
    stance: Stance = Stance.REPEATS
    key: str = field(default_factory=lambda: str(uuid4()))
    requests: list[tuple[Person, str, Json | None, str]] = field(default_factory=list)
    """Each with its key."""

    @property
    def booking_id(self) -> UUID:
        """Known before the booking is made."""
        return ids.booking_id(self.pair.student.id, self.key)

    @property
    def operator(self) -> Person:
        return self.market.operator()

    @property
    def starts_at(self) -> datetime:
        return self.pair.starts_at

    async def ask(self, person: Person, path: str, body: Json | None = None, key: str | None = None) -> Answer:
        """Send one request. A decision's key is random, and the same each time that it is sent again."""
        key = key or str(uuid4())
        headers = {"Authorization": f"Bearer {person.token}", "Idempotency-Key": key}
        self.requests.append((person, path, body, key))
        try:
            response = await person.http.post(f"/v1{path}", json=body, headers=headers)
            answer = Answer(f"{person.role} {path.rpartition('/')[2]}", response.status_code, response.json(), key)
        except httpx.TransportError as error:
            answer = Answer(f"{person.role} {path.rpartition('/')[2]}", None, {"error": repr(error)}, key)
        self.answers.append(answer)
        return answer

    async def insist(self, person: Person, path: str, body: Json | None = None, key: str | None = None) -> Answer:
        """Send a request until its outcome is known."""
        key = key or str(uuid4())
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                answer = await self.ask(person, path, body, key)
                if answer.is_definite:
                    return answer
                await asyncio.sleep(_PAUSE_SECONDS)

    async def choose(self, person: Person, path: str, body: Json | None = None, key: str | None = None) -> Answer:
        """Send the request that is under test: again and again, or only once."""
        send = self.insist if self.stance is Stance.REPEATS else self.ask
        return await send(person, path, body, key)

    async def choose_for(self, person: Person, decision: str, body: Json | None = None) -> Answer:
        return await self.choose(person, f"/bookings/{self.booking_id}/{decision}", body)

    async def decide(self, person: Person, decision: str, body: Json | None = None) -> Answer:
        return await self.insist(person, f"/bookings/{self.booking_id}/{decision}", body)

    async def book(self) -> Answer:
        body = {"slot_id": str(self.pair.slot_id)}
        return await self.insist(self.pair.student, "/bookings", body, self.key)

    async def pay(self) -> None:
        """Pay on the Checkout page, and look whether that went through if its answer is lost."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while url := _page_to_pay(await self.look()):
                try:
                    await pay(url)
                except CheckoutClosed:
                    return
                except httpx.HTTPError:
                    await asyncio.sleep(_PAUSE_SECONDS)
                else:
                    return

    async def look(self, person: Person | None = None) -> Json:
        """The booking as its student sees it, or this person. If there is none, the problem document."""
        person = person or self.pair.student
        headers = {"Authorization": f"Bearer {person.token}"}
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                try:
                    response = await person.http.get(f"/v1/bookings/{self.booking_id}", headers=headers)
                except httpx.TransportError:
                    pass
                else:
                    if response.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                        seen: Json = response.json()
                        return seen
                await asyncio.sleep(_PAUSE_SECONDS)

    async def intents(self) -> list[stripe.PaymentIntent]:
        """The booking's PaymentIntents: several, if it was paid again."""
        listing = await self.market.stripe.v1.payment_intents.list_async({"limit": 100})
        booking = str(self.booking_id)
        return [
            intent
            async for intent in listing.auto_paging_iter()
            if intent.metadata and intent.metadata.to_dict().get(BOOKING_METADATA) == booking
        ]

    async def wait_for(self, **fields: object) -> None:
        await self.pair.student.wait_until(str(self.booking_id), **fields)

    def expect(self, answer: Answer) -> None:
        """Before any fault, everything succeeds."""
        if not answer.is_success:
            raise Unexpected(f"{answer.request}: {answer.status}: {answer.body}")


def _page_to_pay(seen: Json) -> str | None:
    """The first Checkout page, or that of a payment which has to be made again."""
    renewal = (seen.get("payment") or {}).get("renewal") or {}
    return seen.get("checkout_url") or renewal.get("checkout_url")
