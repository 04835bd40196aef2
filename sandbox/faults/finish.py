"""Brings a booking to its end, from wherever a fault has left it, by what its people would do next."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx

from models.domain.states import HOLDS_SLOT
from sandbox.demo.people import Json
from sandbox.faults.plays import Play, Stance

_LOOK_EVERY_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 90
_IS_SOON: Final = timedelta(seconds=90)


class NeverEnded(Exception):
    """A booking that is stuck: nothing that its people do ends it."""


async def finish(play: Play, *, operator_decides: bool = False) -> None:
    """Returns once the booking has ended, or has never been made.

    Raises `NeverEnded`, also if it waits for an operator and `operator_decides` is not set.
    """
    seen: Json = {}
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not _has_ended(seen := await play.look()):
                by_operator = await play.look(play.operator)
                if not by_operator.get("needs_attention"):
                    await _go_on(play, seen)
                elif operator_decides:
                    await play.insist(play.operator, f"/operator/bookings/{play.booking_id}/release")
                else:
                    raise NeverEnded(f"it waits for an operator: {by_operator['attention_reason']}")
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
    except TimeoutError:
        raise NeverEnded(f"it is still open: {_summary(seen)}") from None


def _has_ended(seen: Json) -> bool:
    """A problem document has a number as its status."""
    return seen["status"] in (httpx.codes.NOT_FOUND, httpx.codes.GONE) or seen["status"] not in HOLDS_SLOT


async def accept_disputes(play: Play) -> None:
    """The operator gives in: the student keeps what their bank took back."""
    for intent in await play.intents():
        disputes = await play.market.stripe.v1.disputes.list_async({"payment_intent": intent.id})
        for dispute in disputes.data:
            if dispute.status == "needs_response":
                await play.insist(play.operator, f"/operator/disputes/{dispute.id}/accept")


async def _go_on(play: Play, seen: Json) -> None:
    """One step towards the end. A request that is refused because something else happens meanwhile is no matter."""
    pair = play.pair
    if (seen["payment"] or {}).get("status") == "DISPUTED":
        await accept_disputes(play)
    if seen["payment"] is None:
        # Whoever never heard of the Checkout page does not pay, and the booking lapses.
        if seen["checkout_url"] and play.stance is not Stance.SILENT:
            await play.pay()
    elif seen["payment"].get("renewal"):
        await play.pay()
    elif seen["status"] == "PENDING":
        if play.stance is not Stance.SILENT:
            await play.decide(pair.instructor, "approve")
    elif datetime.fromisoformat(seen["starts_at"]) - datetime.now(UTC) > _IS_SOON:
        await play.decide(pair.instructor, "cancel")
    elif datetime.fromisoformat(seen["starts_at"]) < datetime.now(UTC):
        await play.decide(pair.student, "confirm")


def _summary(seen: Json) -> Json:
    return {name: seen.get(name) for name in ("status", "session", "payment", "next_deadline_at")}
