"""The request log: one JSON line for each API request and its response."""

import json
from collections import deque
from pathlib import Path

from sandbox.stripe.json_values import JsonObject

_KEPT_IN_MEMORY = 1_000
_REDACTED = "whsec_not_logged"


class RequestLog:
    """Writes lines to a file, if `path` is set, and keeps the latest in memory.

    The log has no secrets: the header with the API key is not logged, and an endpoint's signing secret is replaced.
    """

    def __init__(self, path: Path | None) -> None:
        self.latest: deque[JsonObject] = deque(maxlen=_KEPT_IN_MEMORY)
        self._path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def write(self, line: JsonObject) -> None:
        response = line["response"]
        if "secret" in response:
            line = line | {"response": response | {"secret": _REDACTED}}
        if response.get("object") == "v2.core.event_destination":
            endpoint = response["webhook_endpoint"] | {"signing_secret": _REDACTED}
            line = line | {"response": response | {"webhook_endpoint": endpoint}}
        self.latest.append(line)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
