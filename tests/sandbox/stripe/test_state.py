"""A restart keeps the clock, the timers and the pending deliveries."""

from pathlib import Path

from tests.sandbox.stripe.conftest import platform_at, serving
from tests.sandbox.stripe.receiver import receiving

DAY = 86_400


async def test_pending_deliveries_are_made_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with receiving() as receiver:
        async with serving(state=state) as url, platform_at(url) as platform:
            await platform.stripe.v1.webhook_endpoints.create_async({"url": receiver.url, "enabled_events": ["*"]})
            await platform.control("POST", "/deliveries", {"held": True})
            await platform.stripe.v1.customers.create_async()
        assert receiver.deliveries == []
        async with serving(state=state):
            await receiver.wait_for(1)


async def test_clock_and_timers_continue_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with serving(state=state) as url, platform_at(url) as platform:
        await platform.advance(3 * DAY)
        intent = await platform.hold()
        before = await platform.control("GET", "/clock")
    async with serving(state=state) as url, platform_at(url) as platform:
        assert (await platform.control("GET", "/clock"))["offset_seconds"] == before["offset_seconds"]
        await platform.advance(7 * DAY)
        assert (await platform.stripe.v1.payment_intents.retrieve_async(intent.id)).status == "canceled"


async def test_incomplete_journal_line_is_dropped(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with serving(state=state) as url, platform_at(url) as platform:
        customer = await platform.stripe.v1.customers.create_async()
    with state.open("a") as journal:
        journal.write('[["customer","cus_half",{"owner"')
    async with serving(state=state) as url, platform_at(url) as platform:
        assert [found.id for found in (await platform.stripe.v1.customers.list_async()).data] == [customer.id]
