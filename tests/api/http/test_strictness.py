"""Request bodies are strict, on every route: unknown members and wrong types are refused, never coerced."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from tests.api.route_table import API, BODIES, body_of
from tests.api.world import JSON, World, problem

WITH_BODY = {
    path if path in BODIES else path.rpartition("/")[2]: (method, path)
    for method, path in API
    if body_of(path) and method in ("POST", "PATCH") and "/disputes/" not in path
}
MORE: list[tuple[str, JSON]] = [
    ("slots", {"weekly": {"weekday": "monday", "time": "18:30", "from": "2026-03-01", "count": 2}}),
    ("offerings", BODIES["offerings"] | {"cancellation": {"tiers": [{"before_seconds": 60, "refund_bps": 5_000}]}}),
    ("offerings", BODIES["offerings"] | {"buffer_before_minutes": 5, "buffer_after_minutes": 5}),
]
VALID = [(name, body) for name, body in [*BODIES.items(), *MORE] if name in WITH_BODY]


def wrong(body: Any) -> Iterator[Any]:
    """Variants of the body with one value of another type, or one unknown member."""
    if isinstance(body, dict):
        yield body | {"unknown_member": 1}
        for name, value in body.items():
            yield from (body | {name: other} for other in wrong(value))
    elif isinstance(body, list):
        yield from ([other, *body[1:]] for other in wrong(body[0]))
    elif isinstance(body, bool):
        yield from (str(body), int(body), None, [body])
    elif isinstance(body, int):
        yield from (str(body), float(body), body + 0.5, True, None, [body])
    else:
        yield from (5, True, [body], {"is": body})


@pytest.mark.parametrize(("name", "body"), VALID, ids=lambda value: value if isinstance(value, str) else "")
async def test_a_body_with_one_wrong_value_is_refused(
    client: httpx.AsyncClient, world: World, name: str, body: JSON
) -> None:
    method, path = WITH_BODY[name]
    person = (
        world.operator
        if "operator" in path or "webhooks" in path
        else world.student
        if name == "object"
        else world.instructor
    )
    ids = {"drift_id": uuid4(), "webhook_id": uuid4()}
    url = path.format(booking_id=await world.booking(), offering_id=world.offering_id, **ids)
    for other in wrong(deepcopy(body)):
        answer = await client.request(method, url, json=other, headers=person.headers)
        assert problem(answer) == (422, "request-invalid"), other


def test_openapi_forbids_additional_properties(app: FastAPI) -> None:
    schema = app.openapi()
    bodies = [
        operation["requestBody"]["content"]["application/json"]["schema"]
        for path, methods in schema["paths"].items()
        for operation in methods.values()
        if "requestBody" in operation and not path.endswith("webhook")
    ]
    assert len(bodies) == len(WITH_BODY) + 1
    seen: set[str] = set()

    def check(part: Any) -> None:
        if isinstance(part, dict):
            if (reference := part.get("$ref")) and reference not in seen:
                seen.add(reference)
                check(schema["components"]["schemas"][reference.rpartition("/")[2]])
            if part.get("type") == "object":
                assert part.get("additionalProperties") is False, part
            for inner in part.values():
                check(inner)
        elif isinstance(part, list):
            for inner in part:
                check(inner)

    check(bodies)
    assert len(seen) > len(WITH_BODY)
