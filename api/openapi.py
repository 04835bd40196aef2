"""The OpenAPI document: the parts that no single route declares."""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.bookings.schemas import BookingEvent
from api.examples.bookings import EXAMPLES
from api.http.auth import bearer
from api.http.problems import MEDIA_TYPE, SCHEMA_NAME, Kind, ProblemDetails, problem_responses
from api.http.rate_limits import RATE_LIMITED
from api.http.schema_types import REFERENCE
from models.domain.scopes import required_scope

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
    {
        "name": "service tokens",
        "description": "Tokens with which programs act for a person: with scopes, an end, and a limit for bookings.",
    },
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
    {"name": "webhooks", "description": "Endpoints to which Holdfast sends signed messages about what happens."},
    {"name": "meetings", "description": "Called by the meeting provider, with signed events."},
    {"name": "stripe", "description": "Called by Stripe, with signed events."},
    {"name": "machines", "description": "Health, without the version prefix."},
]

router = APIRouter(include_in_schema=False)

_REQUEST_ID = {"description": "The request's, or a generated one.", "required": True, "schema": {"type": "string"}}
_RATE_LIMITS = {name: RATE_LIMITED["responses"][429]["headers"][name] for name in ("RateLimit", "RateLimit-Policy")}

_PARAMETERS = {
    "booking_id": "The booking's id.",
    "drift_id": "The drift's id.",
    "currency": "Three lower-case letters, as in ISO 4217.",
    "instructor_id": "The instructor's id.",
    "offering_id": "The offering's id.",
    "person_id": "The person's id.",
    "reconciliation_id": "The run's id.",
    "token_id": "The service token's id.",
    "webhook_id": "The endpoint's id.",
    "slot_id": "The slot's id.",
    "year": "The calendar year.",
    "Stripe-Signature": "Stripe's signature of the body.",
    "X-Jaas-Signature": "The meeting provider's signature of the body.",
}
"""Parameters whose name says nearly all."""

_NAMES = {
    "Account": "LedgerAccount",
    "Book": "ComparedBook",
    "Interval": "MetricsInterval",
    "Recipient": "MailRecipient",
}
"""Schemas whose class has a name that says enough only in its own module. A generated client has them side by side."""


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
    for name, new in _NAMES.items():
        schemas[new] = schemas.pop(name) | {"title": new}
    _rename_references(schema)
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = [example]
    # FastAPI's own word for a stream, which is OpenAPI 3.2's, in a document of OpenAPI 3.1.
    stream = schema["paths"]["/v1/bookings/{booking_id}/events"]["get"]["responses"]["200"]["content"]
    del stream["text/event-stream"]["itemSchema"]
    # A token is the rule. An operation that needs none says so.
    schema["security"] = [{bearer.scheme_name: []}]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            for kind in _implied_errors(path, operation):
                _add_response(responses, kind)
            common = {"X-Request-Id": _REQUEST_ID} | (_RATE_LIMITS if "429" in responses else {})
            for response in responses.values():
                response["headers"] = common | response.get("headers", {})
            operation["responses"] = dict(sorted(responses.items()))
            _name_scope(method, path, operation)
            operation["summary"] = re.sub("([A-Z])", r" \1", operation["operationId"]).capitalize()
            for parameter in operation.get("parameters", ()):
                parameter.setdefault("description", _PARAMETERS.get(parameter["name"], ""))


def _rename_references(part: Any) -> None:
    if isinstance(part, list):
        for each in part:
            _rename_references(each)
    elif isinstance(part, dict):
        prefix, _, name = str(part.get("$ref")).rpartition("/")
        if name in _NAMES:
            part["$ref"] = f"{prefix}/{_NAMES[name]}"
        for each in part.values():
            _rename_references(each)


def _name_scope(method: str, path: str, operation: Json) -> None:
    """The scope that a service token needs, as an extension: linters know scopes of OAuth only."""
    if not operation.setdefault("security", []):
        return
    if scope := required_scope(method.upper(), path):
        operation["x-required-scope"] = scope


def _implied_errors(path: str, operation: Json) -> Iterator[Kind]:
    """Errors that follow from what a route depends on, so that routes do not declare them one by one."""
    # Any route refuses a query parameter that it does not declare.
    yield from (Kind.INTERNAL, Kind.REQUEST_INVALID)
    if path.startswith("/v1/"):
        yield Kind.UNAVAILABLE
    if operation.get("security"):
        # An identity provider's token may belong to a person without an account here.
        yield from (Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NO_ACCOUNT, Kind.SCOPE_MISSING)
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
