import asyncio
import logging
from datetime import UTC, datetime, timedelta

from models import logs
from tests.loglines import logged

log = logging.getLogger("holdfast.tests")


async def test_a_line_says_when_how_bad_who_what_and_what_it_is_about() -> None:
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


async def test_what_a_task_is_about_is_nothing_to_another_and_everything_to_those_it_starts() -> None:
    async def say(what: str) -> None:
        log.info(what)

    async def on_request(request_id: str) -> None:
        logs.bind({logs.REQUEST_ID: request_id})
        await asyncio.sleep(0)
        await asyncio.create_task(say(f"in {request_id}"))

    with logged() as lines:
        await asyncio.gather(on_request("a"), on_request("b"))
    assert [lines(f"in {id}")[0]["request_id"] for id in ("a", "b")] == ["a", "b"]


async def test_an_error_is_told_by_its_kind_and_its_way_and_never_in_its_own_words() -> None:
    with logged() as lines:
        try:
            try:
                raise LookupError("Key (email)=(ada@students.test) is there")
            except LookupError as error:
                raise ValueError("ada@students.test") from error
        except ValueError:
            log.exception("failed")
    (line,) = lines("failed")
    assert [each for each in line["error"] if not each.startswith(" ")] == [
        "builtins.ValueError",
        "builtins.LookupError",
    ]
    assert any("test_logs.py" in each for each in line["error"])
    assert "ada@" not in lines.text


async def test_a_line_break_in_a_message_makes_no_second_line() -> None:
    with logged() as lines:
        log.info('one\n{"level": "ERROR"}')
    assert len(lines.text.splitlines()) == 1
