"""The API's description of itself, for programs: what no route says alone."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from api.bookings.schemas import BookingEvent
from api.examples.bookings import EXAMPLES
from api.http.problems import MEDIA_TYPE, SCHEMA_NAME, Kind, ProblemDetails, declared
from api.http.schema_types import REFERENCE

Json = dict[str, Any]

DESCRIPTION = """\
Bookings of live one-to-one sessions. A student pays when booking, the money is held, and the instructor is paid only
after the session took place.

- **Money** is an integer in the currency's minor unit: `{"amount_minor": 10000, "currency": "usd"}` is 100 dollars.
- **Times** are RFC 3339: with any offset in requests, in UTC in answers. Durations are seconds, parts basis points.
- **Lists** come in pages: send a page's `next_cursor` as `cursor` for the next one. What is in a cursor is not for
  reading; it stays good while rows come and go.
- **Errors** are RFC 9457 problems (`application/problem+json`). Go by `type`: the sentences are for people.
- **Trying again**: after a 503, in `Retry-After` seconds. A booking is tried again with the same `Idempotency-Key`.
"""

TAGS = [
    {"name": "people", "description": "Signing up and signing in."},
    {"name": "instructors", "description": "Instructors' profiles, and their way to being paid through Stripe."},
    {
        "name": "catalogue",
        "description": "What is on offer, and when. Anyone browses; instructors keep it.",
    },
    {"name": "bookings", "description": "Booking a slot, and following what becomes of it."},
    {"name": "decisions", "description": "What student and instructor decide about a booking."},
    {
        "name": "operator",
        "description": "For the platform's own people: bookings that need them, money to move.",
    },
    {"name": "meetings", "description": "Called by the meetings' provider, with signed reports."},
    {"name": "stripe", "description": "Called by Stripe, with signed events."},
    {"name": "machines", "description": "Health and metrics. Without the version's prefix."},
]

_REQUEST_ID = {"description": "The request's own, or a new one.", "required": True, "schema": {"type": "string"}}


class Api(FastAPI):
    def openapi(self) -> Json:
        if not self.openapi_schema:
            _complete(super().openapi())
        return super().openapi()


def _complete(schema: Json) -> None:
    """Add the shapes that no route returns as its model, what any route can answer, and the examples."""
    schemas = schema["components"]["schemas"]
    _add(schemas, SCHEMA_NAME, ProblemDetails)
    _add(schemas, BookingEvent.__name__, BookingEvent)
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = [example]
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            responses = operation["responses"]
            for kind in _implied(path, operation):
                _declare(responses, kind)
            for answer in responses.values():
                answer["headers"] = {"X-Request-Id": _REQUEST_ID} | answer.get("headers", {})
            operation["responses"] = dict(sorted(responses.items()))


def _implied(path: str, operation: Json) -> Iterator[Kind]:
    """What a route can end in because of its parts, so that it need not say so itself."""
    yield Kind.INTERNAL
    if path.startswith("/v1/"):
        yield Kind.UNAVAILABLE
    if operation.get("security"):
        # An identity provider's token may be anybody's.
        yield from (Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NO_ACCOUNT)
    if "{" in path:
        yield Kind.NOT_FOUND
    if "requestBody" in operation:
        yield from (Kind.BAD_REQUEST, Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID)


def _declare(responses: Json, kind: Kind) -> None:
    ((status, answer),) = declared(kind).items()
    known = responses.setdefault(str(status), answer)
    examples = known["content"][MEDIA_TYPE]["examples"]
    if kind.slug not in examples:
        known["description"] += f" Or: {answer['description']}"
        examples |= answer["content"][MEDIA_TYPE]["examples"]


def _add(schemas: Json, name: str, model: type[BaseModel]) -> None:
    described = model.model_json_schema(mode="serialization", ref_template=REFERENCE)
    for other, definition in described.pop("$defs", {}).items():
        schemas.setdefault(other, definition)
    schemas[name] = described
