"""What both programs log: one JSON object a line on standard error, about nobody and with no secret in it.

`bind` says once what the lines of a task are about (a request, a workflow); each of them then says so.
"""

import logging
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TextIO

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

REQUEST_ID = "request_id"

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_bound: ContextVar[dict[str, str] | None] = ContextVar("bound", default=None)


def bind(about: dict[str, str]) -> None:
    """`about` stands in every line that this task, and those it starts, log from now on; it may still change."""
    _bound.set(about)


def bound() -> dict[str, str]:
    return _bound.get() or {}


def handler(stream: TextIO | None = None) -> logging.Handler:
    """Writes to standard error unless told otherwise."""
    lines = logging.StreamHandler(stream)
    lines.setFormatter(
        _Line(["levelname", "name", "message"], rename_fields=_NAMES, timestamp="time", reserved_attrs=_NOT_SHOWN)
    )
    return lines


def configure() -> None:
    """For a composition root. Leaves a root logger as it is that has handlers already, as pytest's has.

    Of libraries only warnings: at other levels they log the addresses they call, and mail addresses stand in those.
    """
    logging.basicConfig(level=logging.WARNING, handlers=[handler()])
    logging.getLogger("holdfast").setLevel(logging.INFO)


_NOT_SHOWN = [*RESERVED_ATTRS, "color_message"]
"""Uvicorn says some of its messages twice."""
_NAMES = {"levelname": "level", "name": "logger", "exc_info": "error"}


class _Line(JsonFormatter):
    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return log_data | bound()

    def formatException(self, ei: _ExcInfo) -> list[str]:  # type: ignore[override]
        return list(_places(ei[1]))


def _places(error: BaseException | None) -> Iterator[str]:
    """An error's kind and its way, with those behind it. Not their words: those may quote a row, or what was sent."""
    while error is not None:
        yield f"{type(error).__module__}.{type(error).__qualname__}"
        for frame in traceback.extract_tb(error.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} {frame.name}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
