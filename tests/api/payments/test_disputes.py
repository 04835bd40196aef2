"""The list of disputes, which needs no workflow."""

from datetime import UTC, datetime, timedelta

import httpx

from models.domain.states import BookingStatus, DisputeStatus
from models.tables.disputes import Dispute
from tests.api.sql_statements import noted
from tests.api.world import World

DAY = timedelta(days=1)


async def dispute(world: World, day: int) -> str:
    """Store a dispute of a booking. Returns its id."""
    now = datetime.now(UTC)
    booking_id = await world.booking(await world.slot((2 + day) * DAY), status=BookingStatus.COMPLETED)
    row = Dispute(
        id=f"du_{day}_{booking_id}",
        booking_id=booking_id,
        status=DisputeStatus.NEEDS_RESPONSE,
        is_inquiry=False,
        reason="fraudulent",
        amount_minor=10_000,
        currency="usd",
        created_at=now + day * DAY,
        updated_at=now,
    )
    await world.add(row)
    return row.id


async def test_a_dispute_names_the_session_and_both_people_in_a_constant_number_of_statements(
    client: httpx.AsyncClient, world: World
) -> None:
    counts, ids = [], []
    for day in range(3):
        ids.append(await dispute(world, day))
        with noted(world.engine) as statements:
            answer = await client.get("/v1/operator/disputes", headers=world.operator.headers)
        assert [shown["id"] for shown in answer.json()["data"]] == ids[::-1]
        counts.append(len(statements))
    assert len(set(counts)) == 1
    shown = answer.json()["data"][0]
    assert (shown["title"], shown["student_name"], shown["instructor_name"]) == ("Counterpoint", "Ada", "Nadia")
