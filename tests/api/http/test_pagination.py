from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from api.http.pagination import Cursor

AT = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_round_trips(created_at: datetime, row_id: UUID) -> None:
    cursor = Cursor(created_at, row_id)
    assert Cursor.read(str(cursor)) == cursor


@given(st.text(max_size=200))
def test_any_other_text_raises_value_error(text: str) -> None:
    try:
        Cursor.read(text)
    except ValueError:
        pass
    else:
        raise AssertionError(f"{text!r} was accepted as a cursor")
