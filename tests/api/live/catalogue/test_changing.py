"""Changes to an offering apply to later bookings only."""

import httpx
import pytest

from sandbox.browser.checkout_page import GOOD_CARD, pay
from tests.api.live.journey import booked, decide, order, seen
from tests.api.stripe_events import AUTHORIZED, event, send
from tests.api.world import JSON, World, book, problem

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]

CHANGES: JSON = {
    "title": "Fugue",
    "price": {"amount_minor": 3_000, "currency": "eur"},
    "cancellation": {"tiers": []},
    "buffer_before_minutes": 60,
    "is_recorded": True,
    "is_active": False,
}


async def test_open_booking_keeps_the_terms_it_was_made_with(client: httpx.AsyncClient, world: World) -> None:
    created, headers = await booked(client, world), world.student.headers
    url, booking_id = f"/v1/bookings/{created['id']}", created["id"]
    before = (await client.get(url, headers=headers)).json()
    offering = f"/v1/offerings/{world.offering_id}"
    assert (await client.patch(offering, json=CHANGES, headers=world.instructor.headers)).status_code == 200
    rival = await book(client, world.student, await world.slot(), key="a later one")
    assert problem(rival) == (409, "offering-withdrawn")
    assert await pay(created["checkout_url"], GOOD_CARD)
    assert (await send(client, event(AUTHORIZED, booking_id))).status_code == 200
    await seen(client, world.student, booking_id, lambda shown: shown["payment"] is not None)
    assert (await decide(client, world.instructor, booking_id, "approve")).status_code == 200
    quote = (await client.get(f"{url}/cancellation-quote", headers=headers)).json()
    assert quote["refund"] == {"amount_minor": 10_000, "currency": "usd"}
    assert "SUMMARY:Counterpoint" in (await client.get(f"{url}/calendar.ics", headers=headers)).text
    settled = (await order(client, world.operator, booking_id, "settle")).json()
    assert settled["payment"]["captured"] == {"amount_minor": 10_000, "currency": "usd"}
    assert settled["payment"]["platform_fee"] == {"amount_minor": 2_000, "currency": "usd"}
    frozen = ("price", "policy", "is_recorded")
    assert {name: settled[name] for name in frozen} == {name: before[name] for name in frozen}
