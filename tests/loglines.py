"""What our programs log, parsed as a log collector would."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from models import logs

Line = dict[str, Any]


class Lines:
    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    def __call__(self, message: str, **fields: Any) -> list[Line]:
        """Those with this message and these members."""
        lines: list[Line] = [json.loads(line) for line in self.text.splitlines()]
        return [line for line in lines if line["message"] == message and fields.items() <= line.items()]


@contextmanager
def logged(*names: str) -> Iterator[Lines]:
    """What the loggers of these names log meanwhile, from INFO on."""
    stream = io.StringIO()
    handler = logs.handler(stream)
    loggers = [logging.getLogger(name) for name in names or ("holdfast",)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield Lines(stream)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
