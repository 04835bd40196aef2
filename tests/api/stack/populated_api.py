"""People with bookings in several states, made through the public API, for requests that find something."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import httpx
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.stripe.client import stripe_client
from models.db import build_engine
from sandbox.browser.checkout_page import GOOD_CARD, POOR_CARD, pay
from sandbox.demo.marketplace import Marketplace, Pair
from sandbox.demo.people import Person
from sandbox.stack.stack import Stack

DISPUTED_CARD = "4000000000000259"

_HOUR = timedelta(hours=1)
_OPEN_SLOTS = 8
_TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class PopulatedApi:
    tokens: dict[str, str]
    """By role, except `nobody`."""
    known: dict[str, list[str]]
    """Existing ids, by the name of the parameter or field that they are sent as."""


async def populate(stack: Stack, api_url: str) -> PopulatedApi:
    """A new student, instructor and operator, and bookings in nine states."""
    engine = build_engine(stack.database_url)
    temporal = await Client.connect(stack.temporal_address, data_converter=pydantic_data_converter)
    try:
        async with (
            httpx.AsyncClient(base_url=api_url, timeout=30) as http,
            stripe_client(stack.stripe_key, stack.stripe_url) as stripe,
        ):
            market = Marketplace(stack, http, engine, stripe, temporal)
            await market.open(pairs=1)
            return await _make_bookings(market)
    finally:
        await engine.dispose()


async def _make_bookings(market: Marketplace) -> PopulatedApi:
    operator = market.operator()
    pairs = [await market.pair(48 * _HOUR + number * _HOUR) for number in range(9 + _OPEN_SLOTS)]
    meetings, still_open = pairs[:9], pairs[9:]
    bookings = await asyncio.gather(
        *(_booked(pair) for pair in meetings[:2]),
        *(_paid(pair) for pair in meetings[2:4]),
        *(_approved(pair) for pair in meetings[4:6]),
        _cancelled(meetings[6]),
        _never_paid(meetings[7]),
        _disputed(meetings[8], operator),
    )
    student, instructor = pairs[0].student, pairs[0].instructor
    disputes = await operator.call("GET", "/operator/disputes?limit=1")
    offerings = await student.call("GET", f"/offerings?instructor_id={instructor.id}")
    return PopulatedApi(
        tokens={"student": student.token, "instructor": instructor.token, "operator": operator.token},
        known={
            "booking_id": bookings,
            "slot_id": [str(pair.slot_id) for pair in [*still_open, meetings[0]]],
            "offering_id": [offerings["data"][0]["id"]],
            "instructor_id": [str(instructor.id)],
            "dispute_id": [disputes["data"][0]["id"]],
        },
    )


async def _booked(pair: Pair) -> str:
    return str((await pair.student.book(pair.slot_id))["id"])


async def _paid(pair: Pair, card: str = GOOD_CARD) -> str:
    booking = await pair.student.book(pair.slot_id)
    await pay(booking["checkout_url"], card)
    await pair.student.wait_until(booking["id"], payment__status="PENDING")
    return str(booking["id"])


async def _approved(pair: Pair, card: str = GOOD_CARD) -> str:
    booking_id = await _paid(pair, card)
    await pair.instructor.decide(booking_id, "approve")
    return booking_id


async def _cancelled(pair: Pair) -> str:
    booking_id = await _approved(pair)
    await pair.student.decide(booking_id, "cancel")
    return booking_id


async def _never_paid(pair: Pair) -> str:
    booking = await pair.student.book(pair.slot_id)
    await pay(booking["checkout_url"], POOR_CARD)
    await pair.student.wait_until(booking["id"], status=410)
    return str(booking["id"])


async def _disputed(pair: Pair, operator: Person) -> str:
    booking_id = await _approved(pair, DISPUTED_CARD)
    await operator.call("POST", f"/operator/bookings/{booking_id}/settle")
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        while True:
            if (await operator.call("GET", "/operator/disputes?limit=1"))["data"]:
                return booking_id
            await asyncio.sleep(0.1)
