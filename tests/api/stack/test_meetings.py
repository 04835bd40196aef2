"""A meeting on the stack as `./run up` starts it: who joins it is in the booking."""

from datetime import timedelta

import httpx

from models.db import build_engine
from models.domain.actors import Role
from sandbox.demo.marketplace import Marketplace
from tests.api.meetings.provider_events import scheduled
from tests.api.world import World


async def test_stack_reports_attendance_of_its_meetings(market: Marketplace) -> None:
    stack = market.stack
    engine = build_engine(stack.database_url)
    world = await World.create(engine)
    booking_id, room = await scheduled(world, -timedelta(minutes=1))
    await engine.dispose()
    student = market.person(Role.STUDENT, world.student.id)
    browser = {"Authorization": f"Bearer {student.token}", "Accept": "text/html"}
    entrance = await market.http.get(f"/v1/bookings/{booking_id}/join", headers=browser, follow_redirects=True)
    assert str(entrance.url).startswith(f"{stack.meeting_url}/{room}?jwt=")
    assert "Ada, participant" in entrance.text
    async with httpx.AsyncClient(trust_env=False) as page:
        (await page.post(entrance.url, data={"action": "join"})).raise_for_status()
    booking = await market.person(Role.OPERATOR, world.operator.id).call("GET", f"/bookings/{booking_id}")
    assert len(booking["attendance"]["student"]["visits"]) == 1
    token = str(entrance.url).partition("jwt=")[2]
    logs = [log.read_text() for log in stack.logs.iterdir()]
    assert logs
    assert not any(token in log for log in logs)
