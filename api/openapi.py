"""The OpenAPI document: the parts that no single route declares."""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.bookings.schemas import BookingEvent
from api.examples.bookings import EXAMPLES
from api.http.problems import MEDIA_TYPE, SCHEMA_NAME, Kind, ProblemDetails, problem_responses
from api.http.schema_types import REFERENCE

Json = dict[str, Any]

DESCRIPTION = """\
Bookings of live one-to-one sessions. The student pays when booking, the money is held, and the instructor is paid only
after the session took place.

- **Money** is an integer in the currency's minor unit: `{"amount_minor": 10000, "currency": "usd"}` is 100 dollars.
- **Times** are RFC 3339, with any offset in requests and in UTC in responses. Durations are in seconds, shares in
  basis points.
- **Lists** are paginated: send a page's `next_cursor` as `cursor` to get the next page. A cursor is opaque, and stays
  valid while rows are added and removed.
- **Errors** are problem documents (RFC 9457, `application/problem+json`). Branch on `type`, not on the text.
- **Retries**: after a 503, retry in `Retry-After` seconds. Retry a booking or a decision with
  the same `Idempotency-Key`: the first request may still be carried out.
"""

TAGS = [
    {"name": "people", "description": "Signing up and signing in."},
    {"name": "instructors", "description": "Instructors' profiles, and their onboarding with Stripe."},
    {
        "name": "catalogue",
        "description": "Offerings and their slots. Anyone can browse; instructors manage their own.",
    },
    {"name": "bookings", "description": "Booking a slot, and following the booking."},
    {"name": "decisions", "description": "Decisions of the student and the instructor about a booking."},
    {
        "name": "operator",
        "description": "For the platform's operators: bookings that need attention, and moving money.",
    },
    {"name": "meetings", "description": "Called by the meeting provider, with signed events."},
    {"name": "stripe", "description": "Called by Stripe, with signed events."},
    {"name": "machines", "description": "Health, without the version prefix."},
]

router = APIRouter(include_in_schema=False)

_REQUEST_ID = {"description": "The request's, or a generated one.", "required": True, "schema": {"type": "string"}}


class Api(FastAPI):
    def openapi(self) -> Json:
        if not self.openapi_schema:
            _complete(super().openapi())
        return super().openapi()


@router.get("/")
async def describe(request: Request) -> JSONResponse:
    """The document itself, for a program that knows no more than the address."""
    return JSONResponse(request.app.openapi(), headers={"Vary": "Accept"})


def _complete(schema: Json) -> None:
    """Add the schemas that no route has as its response model, the errors common to all routes, and the examples."""
    schemas = schema["components"]["schemas"]
    _add_schema(schemas, SCHEMA_NAME, ProblemDetails)
    _add_schema(schemas, BookingEvent.__name__, BookingEvent)
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = [example]
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            responses = operation["responses"]
            for kind in _implied_errors(path, operation):
                _add_response(responses, kind)
            for response in responses.values():
                response["headers"] = {"X-Request-Id": _REQUEST_ID} | response.get("headers", {})
            operation["responses"] = dict(sorted(responses.items()))


def _implied_errors(path: str, operation: Json) -> Iterator[Kind]:
    """Errors that follow from what a route depends on, so that routes do not declare them one by one."""
    # Any route refuses a query parameter that it does not declare.
    yield from (Kind.INTERNAL, Kind.REQUEST_INVALID)
    if path.startswith("/v1/"):
        yield Kind.UNAVAILABLE
    if operation.get("security"):
        # An identity provider's token may belong to a person without an account here.
        yield from (Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NO_ACCOUNT)
    if "{" in path:
        yield Kind.NOT_FOUND
    if "requestBody" in operation:
        yield from (Kind.BAD_REQUEST, Kind.CONTENT_TOO_LARGE)


def _add_response(responses: Json, kind: Kind) -> None:
    ((status, response),) = problem_responses(kind).items()
    known = responses.setdefault(str(status), response)
    examples = known["content"][MEDIA_TYPE]["examples"]
    if kind.slug not in examples:
        known["description"] += f" Or: {response['description']}"
        examples |= response["content"][MEDIA_TYPE]["examples"]


def _add_schema(schemas: Json, name: str, model: type[BaseModel]) -> None:
    schema = model.model_json_schema(mode="serialization", ref_template=REFERENCE)
    for other, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(other, definition)
    schemas[name] = schema
