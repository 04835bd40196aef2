import asyncio
import logging
from datetime import UTC, datetime, timedelta

from models import logs
from tests.loglines import logged

log = logging.getLogger("holdfast.tests")


async def test_line_has_time_level_logger_message_and_context() -> None:
    logs.bind({logs.REQUEST_ID: "abc"})
    with logged() as lines:
        log.warning("%s came", "something", extra={"status": 200})
    (line,) = lines("something came")
    at = datetime.fromisoformat(line.pop("time"))
    assert abs(datetime.now(UTC) - at) < timedelta(seconds=5)
    assert line == {
        "level": "WARNING",
        "logger": "holdfast.tests",
        "message": "something came",
        "status": 200,
        "request_id": "abc",
    }


async def test_context_is_inherited_by_child_tasks_only() -> None:
    async def log_message(message: str) -> None:
        log.info(message)

    async def on_request(request_id: str) -> None:
        logs.bind({logs.REQUEST_ID: request_id})
        await asyncio.sleep(0)
        await asyncio.create_task(log_message(f"in {request_id}"))

    with logged() as lines:
        await asyncio.gather(on_request("a"), on_request("b"))
    assert [lines(f"in {id}")[0]["request_id"] for id in ("a", "b")] == ["a", "b"]


async def test_error_is_logged_without_its_message() -> None:
    with logged() as lines:
        try:
            try:
                raise LookupError("Key (email)=(ada@students.test) is there")
            except LookupError as error:
                raise ValueError("ada@students.test") from error
        except ValueError:
            log.exception("failed")
    (line,) = lines("failed")
    assert [entry for entry in line["error"] if not entry.startswith(" ")] == [
        "builtins.ValueError",
        "builtins.LookupError",
    ]
    assert any("test_logs.py" in entry for entry in line["error"])
    assert "ada@" not in lines.text


async def test_line_break_in_a_message_stays_on_one_line() -> None:
    with logged() as lines:
        log.info('one\n{"level": "ERROR"}')
    assert len(lines.text.splitlines()) == 1
