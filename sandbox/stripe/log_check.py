"""Checks every request and response in a request log against the shapes of Stripe's API.

`python -m sandbox.stripe.log_check FILE` prints the problems and exits with 1, or prints the number of valid lines.
"""

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.stripe import form, routes
from sandbox.stripe.errors import StripeError
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.schema.answers import response_problems
from sandbox.stripe.schema.derive import request_shape
from sandbox.stripe.schema.requests import coerced


def problems_in(log: Path) -> list[str]:
    """All problems in the log, each with its line number. Empty for a valid log."""
    found: list[str] = []
    with log.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            entry = json.loads(line)
            prefix = f"line {number}, {entry['method']} {entry['path']}"
            problems = _request_problems(entry) + response_problems(entry["response"])
            found += [f"{prefix}: {problem}" for problem in problems]
    return found


def _request_problems(entry: JsonObject) -> list[str]:
    target = urlsplit(entry["path"])
    match = routes.match(entry["method"], target.path)
    if match is None:
        return ["no such operation"]
    in_json = target.path.startswith("/v2/") and entry["method"] == "POST"
    try:
        if in_json:
            raw = json.loads(entry["body"] or "{}")
        else:
            raw = form.decode(entry["body"] if entry["method"] == "POST" else target.query)
        coerced(request_shape(match[0].params), raw)
    except StripeError as error:
        return [str(error)]
    return []


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m sandbox.stripe.log_check FILE", file=sys.stderr)
        return 2
    log = Path(arguments[0])
    found = problems_in(log)
    for problem in found:
        print(problem)
    if not found:
        print(f"{sum(1 for _ in log.open())} requests and their answers have Stripe's shape")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
