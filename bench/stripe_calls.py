"""Counts a booking's calls to Stripe from the sandbox's request log."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MUTATING: Final = frozenset({"POST", "DELETE"})


@dataclass(frozen=True)
class StripeCall:
    method: str
    path: str

    @property
    def is_mutating(self) -> bool:
        return self.method in _MUTATING


class StripeLog:
    """The calls after `start`, so that the calls of the setup are not counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def start(self) -> None:
        self._offset = self._path.stat().st_size

    def calls(self) -> list[StripeCall]:
        return list(self._read())

    def _read(self) -> Iterator[StripeCall]:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                entry = json.loads(line)
                yield StripeCall(entry["method"], entry["path"])
