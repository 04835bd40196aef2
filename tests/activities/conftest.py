import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.booking.records import RecordActivities
from tests.activities.bookings import Bookings


@pytest.fixture
def bookings(engine: AsyncEngine) -> Bookings:
    return Bookings(engine, RecordActivities(engine))
