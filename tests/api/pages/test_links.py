"""Links of the API that a browser follows with its session."""

from datetime import UTC, datetime

from models.domain.actors import PLATFORM
from models.domain.messages import Channel
from models.tables.audit import AuditEvent
from tests.api.pages.browser import Browser
from tests.api.world import World


async def test_a_stream_says_that_something_happened_to_the_session_of_the_browser(
    browser: Browser, world: World
) -> None:
    booking_id = await world.booking()
    await world.add(
        AuditEvent(
            booking_id=booking_id,
            action="booking.requested",
            actor_role=PLATFORM.role,
            channel=Channel.API,
            detail={},
            at=datetime.now(UTC),
        )
    )
    browser.become(world.student)
    answer = await browser.get(f"/bookings/{booking_id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    # Without a name, so that an `EventSource` delivers it as a message.
    assert "data: " in answer.text
    assert "event:" not in answer.text
    browser.become(None)
    assert (await browser.get(f"/bookings/{booking_id}/events")).headers["location"].startswith("/sign-in")
