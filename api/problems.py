"""Every error that the API answers with, as RFC 9457 problem details. `type` is stable: clients read it."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
SCHEMA_NAME = "Problem"

log = logging.getLogger("holdfast.api")


class Kind(Enum):
    """A sort of problem: its name in the `type` URI, its status and its title."""

    BAD_REQUEST = ("bad-request", 400, "The request cannot be read.")
    IDEMPOTENCY_KEY_REQUIRED = ("idempotency-key-required", 400, "A usable Idempotency-Key is required.")
    CURSOR_UNKNOWN = ("cursor-unknown", 400, "The cursor is not one of ours.")
    SIGNATURE_INVALID = ("signature-invalid", 400, "The event is not signed by Stripe.")
    NOT_SIGNED_IN = ("not-signed-in", 401, "A valid bearer token is required.")
    SIGN_IN_REFUSED = ("sign-in-refused", 401, "The address or the password is wrong.")
    WRONG_ROLE = ("wrong-role", 403, "Your role may not do this.")
    NO_ACCOUNT = ("no-account", 403, "The token's person has no account here.")
    NOT_YOURS = ("not-yours", 403, "This is somebody else's.")
    NOT_FOUND = ("not-found", 404, "There is nothing here.")
    IDENTITY_PROVIDER_USED = ("identity-provider-used", 404, "People sign in with an identity provider here.")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "The method is not supported here.")
    EMAIL_TAKEN = ("email-taken", 409, "There is an account with this address.")
    SLOT_TAKEN = ("slot-taken", 409, "The slot is taken.")
    SLOT_IN_THE_PAST = ("slot-in-the-past", 409, "The slot has begun.")
    INSTRUCTOR_NOT_PAYABLE = ("instructor-not-payable", 409, "The instructor cannot be paid yet.")
    CHECKOUT_REFUSED = ("checkout-refused", 409, "The payment could not be started.")
    ONBOARDING_REFUSED = ("onboarding-refused", 409, "Stripe does not take the account.")
    NOT_POSSIBLE_NOW = ("not-possible-now", 409, "The booking's state does not allow this.")
    BOOKING_CLOSED = ("booking-closed", 409, "The booking is closed.")
    BOOKING_DELETED = ("booking-deleted", 410, "The booking was never paid and is gone.")
    CONTENT_TOO_LARGE = ("content-too-large", 413, "The request is too large.")
    REQUEST_INVALID = ("request-invalid", 422, "The request is not valid.")
    IDEMPOTENCY_KEY_REUSED = ("idempotency-key-reused", 422, "The Idempotency-Key was used for another booking.")
    PRICE_NOT_CHARGEABLE = ("price-not-chargeable", 422, "The price cannot be charged.")
    SESSION_TOO_FAR_AHEAD = ("session-too-far-ahead", 422, "The session lies too far ahead to be booked now.")
    SLOTS_NOT_POSSIBLE = ("slots-not-possible", 422, "These slots cannot be offered.")
    INTERNAL = ("internal", 500, "Something went wrong on our side.")
    UNAVAILABLE = ("unavailable", 503, "A part that is needed for this does not answer.")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.uri = f"urn:holdfast:problem:{slug}"
        self.status = status
        self.title = title


class ProblemDetails(BaseModel):
    """RFC 9457. Some problems carry more members, described with their route."""

    model_config = ConfigDict(title=SCHEMA_NAME, extra="allow")

    type: str = Field(examples=[Kind.SLOT_TAKEN.uri])
    title: str
    status: int
    detail: str | None = None


class Problem(HTTPException):
    """Raised anywhere under a route to end the request with this problem; `more` are extension members.

    It is Starlette's HTTPException, since FastAPI lets no other exception pass while it reads a body.
    """

    def __init__(
        self, kind: Kind, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **more: object
    ) -> None:
        super().__init__(kind.status, detail or kind.title, headers)
        self.kind = kind
        self.more = more

    def response(self) -> JSONResponse:
        body = {"type": self.kind.uri, "title": self.kind.title, "status": self.kind.status, "detail": self.detail}
        return JSONResponse(body | self.more, self.kind.status, self.headers, MEDIA_TYPE)


def unavailable(detail: str, retry_after_seconds: int = 5) -> Problem:
    return Problem(Kind.UNAVAILABLE, detail, headers={"Retry-After": str(retry_after_seconds)})


def declared(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses of a route that can end in these problems."""
    by_status: dict[int | str, list[Kind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    schema = {"$ref": f"#/components/schemas/{SCHEMA_NAME}"}
    return {
        status: {
            "description": " Or: ".join(f"{kind.title} (`{kind.uri}`)" for kind in same),
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status, same in by_status.items()
    }


def handle_problems(app: FastAPI) -> None:
    """Make every error of the app a problem, those of the framework included."""
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)


async def _on_http_exception(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error, Problem):
        return error.response()
    kind = next((kind for kind in (Kind.NOT_FOUND, Kind.METHOD_NOT_ALLOWED) if kind.status == error.status_code), None)
    if kind:
        return Problem(kind, headers=error.headers).response()
    body = {"type": "about:blank", "title": HTTPStatus(error.status_code).phrase, "status": error.status_code}
    return JSONResponse(body, error.status_code, error.headers, MEDIA_TYPE)


async def _on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _problem_of(error.errors()).response()


def _problem_of(errors: Sequence[Any]) -> Problem:
    places = {str(each["loc"][0]) for each in errors}
    if "path" in places:
        # What is no id names nothing.
        return Problem(Kind.NOT_FOUND)
    if any(each["loc"] == ("header", "Idempotency-Key") for each in errors):
        return Problem(Kind.IDEMPOTENCY_KEY_REQUIRED, "Send 1 to 255 printable ASCII characters, new for each booking.")
    return Problem(Kind.REQUEST_INVALID, errors=list(_without_values(errors)))


def _without_values(errors: Iterable[Any]) -> Iterable[dict[str, str]]:
    """Where and why, never what was sent: it may be personal, and it ends in clients' logs."""
    for each in errors:
        yield {"where": "/".join(str(part) for part in each["loc"]), "why": str(each["msg"])}
