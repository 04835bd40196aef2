from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from api.http.pagination import Cursor

AT = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_is_read_as_it_was_written(created_at: datetime, row_id: UUID) -> None:
    cursor = Cursor(created_at, row_id)
    assert Cursor.read(str(cursor)) == cursor


@given(st.text(max_size=200))
def test_anything_else_is_refused_and_nothing_worse(text: str) -> None:
    try:
        Cursor.read(text)
    except ValueError:
        pass
    else:
        raise AssertionError(f"{text!r} was taken for a cursor")
