from collections.abc import AsyncIterator

import pytest

from activities.booking.records import RecordActivities
from models.db import build_engine
from tests.activities.bookings import Bookings


@pytest.fixture
async def bookings(database_url: str) -> AsyncIterator[Bookings]:
    engine = build_engine(database_url)
    yield Bookings(engine, RecordActivities(engine))
    await engine.dispose()
