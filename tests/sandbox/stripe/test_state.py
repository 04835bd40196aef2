"""What a restart keeps: time, deadlines, and what is still owed."""

from pathlib import Path

from tests.sandbox.stripe.conftest import serving, shopping
from tests.sandbox.stripe.receiver import receiving

DAY = 86_400


async def test_deliveries_that_were_not_taken_are_made_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with receiving() as receiver:
        async with serving(state=state) as url, shopping(url) as shop:
            await shop.stripe.v1.webhook_endpoints.create_async({"url": receiver.url, "enabled_events": ["*"]})
            await shop.control("POST", "/deliveries", {"held": True})
            await shop.stripe.v1.customers.create_async()
        assert receiver.got == []
        async with serving(state=state):
            await receiver.wait_for(1)


async def test_time_and_its_deadlines_go_on_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with serving(state=state) as url, shopping(url) as shop:
        await shop.advance(3 * DAY)
        intent = await shop.hold()
        before = await shop.control("GET", "/clock")
    async with serving(state=state) as url, shopping(url) as shop:
        assert (await shop.control("GET", "/clock"))["offset_seconds"] == before["offset_seconds"]
        await shop.advance(7 * DAY)
        assert (await shop.stripe.v1.payment_intents.retrieve_async(intent.id)).status == "canceled"


async def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with serving(state=state) as url, shopping(url) as shop:
        customer = await shop.stripe.v1.customers.create_async()
    with state.open("a") as journal:
        journal.write('[["customer","cus_half",{"owner"')
    async with serving(state=state) as url, shopping(url) as shop:
        assert [found.id for found in (await shop.stripe.v1.customers.list_async()).data] == [customer.id]
