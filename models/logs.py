"""JSON logging for worker and API: one object per line on standard error, without personal data or secrets.

`bind` sets a task's context (a request, a workflow) once; every line that the task logs includes it, and the id of its
trace.
"""

import logging
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TextIO

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from models.traces import trace_id

REQUEST_ID = "request_id"

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_bound: ContextVar[dict[str, str] | None] = ContextVar("bound", default=None)


def bind(about: dict[str, str]) -> None:
    """Add `about` to every line that this task, and tasks started by it, log from now on. It is read at each line."""
    _bound.set(about)


def bound() -> dict[str, str]:
    return _bound.get() or {}


def handler(stream: TextIO | None = None) -> logging.Handler:
    """Writes to standard error unless `stream` is passed."""
    json_lines = logging.StreamHandler(stream)
    json_lines.setFormatter(
        _LineFormatter(
            ["levelname", "name", "message"],
            rename_fields=_RENAMED_FIELDS,
            timestamp="time",
            reserved_attrs=_OMITTED_FIELDS,
        )
    )
    return json_lines


def configure() -> None:
    """Called by a composition root. A root logger that already has handlers, such as pytest's, is left unchanged.

    Libraries log warnings only: below that level they log the URLs they call, which contain mail addresses.
    """
    logging.basicConfig(level=logging.WARNING, handlers=[handler()])
    logging.getLogger("holdfast").setLevel(logging.INFO)


_OMITTED_FIELDS = [*RESERVED_ATTRS, "color_message"]
"""Uvicorn repeats some messages as `color_message`."""
_RENAMED_FIELDS = {"levelname": "level", "name": "logger", "exc_info": "error"}


class _LineFormatter(JsonFormatter):
    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        traced = {"trace_id": id} if (id := trace_id()) else {}
        return log_data | traced | bound()

    def formatException(self, ei: _ExcInfo) -> list[str]:  # type: ignore[override]
        return list(_stack_lines(ei[1]))


def _stack_lines(error: BaseException | None) -> Iterator[str]:
    """The type and stack of an error and of its causes. No messages: they may quote a row or a request."""
    while error is not None:
        yield f"{type(error).__module__}.{type(error).__qualname__}"
        for frame in traceback.extract_tb(error.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} {frame.name}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
