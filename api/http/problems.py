"""Every error of the API, as RFC 9457 problem details. `type` is stable, and is what clients branch on."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from models import logs
from models.domain.endings import EndReason
from models.domain.money import Money
from models.domain.scopes import Scope
from models.domain.states import BookingStatus

MEDIA_TYPE = "application/problem+json"
SCHEMA_NAME = "Problem"

log = logging.getLogger("holdfast.api")


class Kind(Enum):
    """A kind of problem: the slug in its `type` URI, its status, its title, and what to do.

    The last one is the `detail` of a problem that is raised without one.
    """

    BAD_REQUEST = ("bad-request", 400, "The request cannot be read.", "Send JSON in UTF-8.")
    IDEMPOTENCY_KEY_REQUIRED = ("idempotency-key-required", 400, "A valid Idempotency-Key is required.")
    CURSOR_UNKNOWN = ("cursor-unknown", 400, "The cursor is invalid.")
    SIGNATURE_INVALID = ("signature-invalid", 400, "The event's signature is invalid.")
    MAILED_TOKEN_REFUSED = ("mailed-token-refused", 400, "The link is invalid, expired or used.", "Request a new link.")
    NOT_SIGNED_IN = ("not-signed-in", 401, "A valid bearer token is required.", "Sign in again.")
    SIGN_IN_REFUSED = ("sign-in-refused", 401, "The email address or password is incorrect.", "Try again, or reset it.")
    PASSWORD_WRONG = ("password-wrong", 403, "The current password is incorrect.", "Try again, or reset your password.")
    WRONG_ROLE = ("wrong-role", 403, "Your role does not allow this.")
    FORM_EXPIRED = ("form-expired", 403, "The form has expired.", "Go back, load the page again, and send it again.")
    NO_ACCOUNT = ("no-account", 403, "There is no account for this token.", "Sign up first.")
    ADDRESS_NOT_VERIFIED = ("address-not-verified", 403, "Your email address is not verified.")
    ACCOUNT_SUSPENDED = ("account-suspended", 403, "The account is suspended.")
    SCOPE_MISSING = ("scope-missing", 403, "The service token does not allow this.")
    SPEND_LIMIT_REACHED = ("spend-limit-reached", 403, "The service token may not spend that much.")
    NOT_YOURS = ("not-yours", 403, "This belongs to someone else.")
    NOT_FOUND = ("not-found", 404, "The resource was not found.", "Check the path and its ids.")
    IDENTITY_PROVIDER_USED = ("identity-provider-used", 404, "People sign in with an identity provider here.")
    MEETINGS_NOT_SET_UP = ("meetings-not-set-up", 404, "Meetings are not configured.", "Arrange one yourselves.")
    WEBHOOKS_NOT_SET_UP = ("webhooks-not-set-up", 404, "Webhooks are not configured.")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "The method is not supported here.", "`Allow` lists the others.")
    TOO_MANY_WEBHOOKS = ("too-many-webhooks", 409, "There are too many webhook endpoints.")
    BOOKINGS_OPEN = ("bookings-open", 409, "The account has open bookings.")
    EMAIL_TAKEN = ("email-taken", 409, "An account with this email address exists.", "Sign in, or use another address.")
    SLOT_TAKEN = ("slot-taken", 409, "The slot is taken.")
    SLOT_IN_THE_PAST = ("slot-in-the-past", 409, "The slot has already started.")
    NOTICE_TOO_SHORT = ("notice-too-short", 409, "The slot starts too soon to be booked.")
    UNPAID_WITH_INSTRUCTOR = (
        "unpaid-with-instructor",
        409,
        "You have a booking with this instructor that is not paid yet.",
    )
    TOO_MANY_UNPAID = ("too-many-unpaid", 409, "You have too many bookings that are not paid yet.")
    SLOT_LAPSED = ("slot-lapsed", 409, "You have reserved this slot before without paying.")
    TOO_MANY_LAPSES = ("too-many-lapses", 409, "You have reserved too many slots without paying.")
    TOO_MANY_DECLINED_CARDS = ("too-many-declined-cards", 409, "Too many of your payments were declined.")
    SESSIONS_OVERLAP = ("sessions-overlap", 409, "You have another session at that time.")
    PRICE_CHANGED = ("price-changed", 409, "The price has changed.")
    POLICY_CHANGED = ("policy-changed", 409, "The policy has changed.")
    OFFERING_WITHDRAWN = ("offering-withdrawn", 409, "The offering is withdrawn.")
    OWN_OFFERING = ("own-offering", 409, "You cannot book your own offering.")
    INSTRUCTOR_NOT_PAYABLE = ("instructor-not-payable", 409, "The instructor cannot be paid yet.")
    CHECKOUT_REFUSED = ("checkout-refused", 409, "The payment could not be started.")
    ONBOARDING_REFUSED = ("onboarding-refused", 409, "Stripe rejected the account.")
    MEETING_NOT_OPEN = ("meeting-not-open", 409, "The meeting is not open now.")
    NOT_POSSIBLE_NOW = ("not-possible-now", 409, "The booking's state does not allow this.")
    BOOKING_CLOSED = ("booking-closed", 409, "The booking is closed.")
    BOOKING_INTERRUPTED = ("booking-interrupted", 409, "The booking's workflow was ended from outside.")
    BOOKING_DELETED = ("booking-deleted", 410, "The booking was not paid and has been deleted.")
    CONTENT_TOO_LARGE = ("content-too-large", 413, "The request is too large.", "Send at most 1 MiB.")
    REQUEST_INVALID = ("request-invalid", 422, "The request is not valid.", "`errors` says what to correct.")
    IDEMPOTENCY_KEY_REUSED = ("idempotency-key-reused", 422, "The Idempotency-Key was used for another request.")
    AMOUNT_INVALID = ("amount-invalid", 422, "Stripe does not accept this amount in this currency.")
    PRICE_NOT_CHARGEABLE = ("price-not-chargeable", 422, "The price cannot be charged.")
    SESSION_TOO_FAR_AHEAD = ("session-too-far-ahead", 422, "The session is too far ahead to be booked now.")
    SLOTS_NOT_POSSIBLE = ("slots-not-possible", 422, "These slots cannot be offered.")
    RATE_LIMITED = ("rate-limited", 429, "Too many requests.")
    INTERNAL = ("internal", 500, "Something went wrong on our side.")
    BUSY = ("busy", 503, "The server is too busy.")
    UNAVAILABLE = ("unavailable", 503, "A service that this request needs is unavailable.")

    def __init__(self, slug: str, status: int, title: str, what_to_do: str = "") -> None:
        self.slug = slug
        self.uri = f"urn:holdfast:problem:{slug}"
        self.status = status
        self.title = title
        self.what_to_do = what_to_do


_RAISED_BY_FRAMEWORK = (Kind.BAD_REQUEST, Kind.NOT_FOUND)

_MEMBERS: dict[Kind, dict[str, Any]] = {
    Kind.IDENTITY_PROVIDER_USED: {"issuer": "https://login.example.com"},
    Kind.NOT_POSSIBLE_NOW: {"booking_status": "ACCEPTED"},
    Kind.BOOKING_CLOSED: {"booking_status": "CANCELLED"},
    Kind.BOOKING_INTERRUPTED: {"booking_status": "ACCEPTED"},
    Kind.BOOKING_DELETED: {
        "reason": "card_declined",
        "decline_code": "insufficient_funds",
        "advice_code": "try_again_later",
        "slot_id": "3f2b8c1e-6d0a-4a57-9b1d-0c5a7e9f1b24",
    },
    Kind.NOTICE_TOO_SHORT: {"bookable_until": "2026-03-02T16:30:00Z"},
    Kind.UNPAID_WITH_INSTRUCTOR: {
        "booking_id": "0b5cfe4e-2b7f-4c62-9d0e-5a1c3d7f8e90",
        "bookable_from": "2026-02-28T12:30:00Z",
    },
    Kind.TOO_MANY_UNPAID: {"bookable_from": "2026-02-28T12:30:00Z"},
    Kind.SLOT_LAPSED: {"bookable_from": "2026-02-28T13:30:00Z"},
    Kind.TOO_MANY_LAPSES: {"bookable_from": "2026-03-01T08:00:00Z"},
    Kind.TOO_MANY_DECLINED_CARDS: {"bookable_from": "2026-03-01T08:00:00Z"},
    Kind.SESSIONS_OVERLAP: {"booking_id": "0b5cfe4e-2b7f-4c62-9d0e-5a1c3d7f8e90"},
    Kind.PRICE_CHANGED: {"price": {"amount_minor": 12_000, "currency": "usd"}},
    Kind.POLICY_CHANGED: {"policy_version": "6e0f1b9c4d2a8375"},
    Kind.MEETING_NOT_OPEN: {"opens_at": "2026-03-02T17:15:00Z", "closes_at": "2026-03-02T19:00:00Z"},
    Kind.SCOPE_MISSING: {"scope": "bookings:write"},
    Kind.SPEND_LIMIT_REACHED: {
        "spend_limit": {"amount_minor": 20_000, "currency": "usd"},
        "spent": {"amount_minor": 15_000, "currency": "usd"},
    },
    Kind.RATE_LIMITED: {"quota": "bookings"},
    Kind.REQUEST_INVALID: {"errors": [{"where": "body/slot_id", "why": "Field required"}]},
    Kind.SESSION_TOO_FAR_AHEAD: {"bookable_from": "2026-06-01T17:30:00Z"},
}
"""An example of each kind's extension members (RFC 9457, section 3.2)."""


class InvalidField(BaseModel):
    """Where in the request, and why. Never repeats the value."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    where: str
    """The path of the value, such as `body/slot_id`."""
    why: str
    """What is wrong with it."""


class ProblemDetails(BaseModel):
    """RFC 9457. Branch on `type`, which is stable; `title` and `detail` are for people and may change."""

    model_config = ConfigDict(title=SCHEMA_NAME, extra="allow", use_attribute_docstrings=True)

    type: str = Field(examples=[Kind.SLOT_TAKEN.uri])
    """What went wrong: a stable URN to branch on."""
    title: str
    """What went wrong, in a sentence."""
    status: int
    """The HTTP status."""
    detail: str | None = None
    """What to do about it."""
    request_id: str
    """Same as the `X-Request-Id` header. Quote it when you report an error."""
    errors: list[InvalidField] | None = None
    """Only for `request-invalid`."""
    booking_id: UUID | None = None
    """The booking that is in the way: for `unpaid-with-instructor` and `sessions-overlap` the student's own, and for
    `slot-taken`, when an instructor withdraws a slot, the one that has it."""
    booking_status: BookingStatus | None = None
    """Only for `not-possible-now`, `booking-closed` and `booking-interrupted`."""
    reason: EndReason | None = None
    """Only for `booking-deleted`: why it was not paid."""
    decline_code: str | None = None
    """Only for `booking-deleted`: Stripe's `decline_code`, if a card was declined."""
    advice_code: str | None = None
    """Only for `booking-deleted`: Stripe's `advice_code` for the decline, if there is one: `try_again_later`,
    `do_not_try_again` or `confirm_card_data`. `detail` says it in words."""
    slot_id: UUID | None = None
    """Only for `booking-deleted`: the slot, which can be booked again."""
    bookable_from: datetime | None = None
    """For `session-too-far-ahead` and the limits on unpaid bookings: when the slot becomes bookable."""
    bookable_until: datetime | None = None
    """Only for `notice-too-short`: until when the slot could be booked."""
    price: Money | None = None
    """Only for `price-changed`: the price of a booking made now."""
    policy_version: str | None = None
    """Only for `policy-changed`: the version of the policy of a booking made now."""
    opens_at: datetime | None = None
    """Only for `meeting-not-open`."""
    closes_at: datetime | None = None
    """Only for `meeting-not-open`."""
    scope: Scope | None = None
    """Only for `scope-missing`: the scope that the service token needs. Absent if only people can do this."""
    spend_limit: Money | None = None
    """Only for `spend-limit-reached`: what the service token may spend in total."""
    spent: Money | None = None
    """Only for `spend-limit-reached`: what is spent of it."""
    quota: str | None = None
    """Only for `rate-limited`: the quota that is used up."""
    issuer: str | None = None
    """Only for `identity-provider-used`: the issuer of the tokens."""
    missing: list[str] | None = None
    """Only for `unavailable` from `GET /readyz`: the services that do not respond."""


class Problem(HTTPException):
    """Raise it anywhere below a route to end the request with this problem. `members` are extension members.

    A subclass of Starlette's HTTPException, because FastAPI passes on no other exception while it reads a body.
    """

    def __init__(
        self, kind: Kind, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **members: object
    ) -> None:
        super().__init__(kind.status, detail or kind.what_to_do or kind.title, headers)
        self.kind = kind
        self.members = members

    def response(self) -> JSONResponse:
        body = {"type": self.kind.uri, "title": self.kind.title, "status": self.kind.status, "detail": self.detail}
        return _response(body | self.members, self.kind.status, self.headers)


def busy(retry_after_seconds: int) -> Problem:
    detail = f"Try again in {retry_after_seconds} seconds."
    return Problem(Kind.BUSY, detail, headers={"Retry-After": str(retry_after_seconds)})


def unavailable(detail: str, retry_after_seconds: int = 5) -> Problem:
    return Problem(Kind.UNAVAILABLE, detail, headers={"Retry-After": str(retry_after_seconds)})


_HEADERS: dict[int | str, dict[str, Any]] = {
    401: {
        "WWW-Authenticate": {
            "description": "`Bearer`, with an `error` for an invalid token (RFC 6750, section 3).",
            "required": True,
            "schema": {"type": "string"},
        }
    },
    503: {
        "Retry-After": {
            "description": "Seconds to wait before retrying.",
            "required": True,
            "schema": {"type": "integer", "minimum": 0},
        }
    },
}


LOCATED: dict[int | str, dict[str, Any]] = {
    201: {"headers": {"Location": {"description": "Where it is.", "required": True, "schema": {"type": "string"}}}}
}
"""The OpenAPI of a 201 that says where the created resource is."""


def problem_responses(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses of a route that can raise these problems. `api.openapi` adds those of its dependencies."""
    by_status: dict[int | str, list[Kind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    schema = {"$ref": f"#/components/schemas/{SCHEMA_NAME}"}
    return {
        status: {
            "description": " Or: ".join(f"{kind.title} (`{kind.uri}`)" for kind in same),
            "headers": _HEADERS.get(status, {}),
            "content": {MEDIA_TYPE: {"schema": schema, "examples": _examples(same)}},
        }
        for status, same in by_status.items()
    }


def _examples(kinds: Iterable[Kind]) -> dict[str, Any]:
    return {kind.slug: {"summary": kind.title, "value": example(kind)} for kind in kinds}


def example(kind: Kind) -> dict[str, Any]:
    """An example response body of this kind."""
    body = {"type": kind.uri, "title": kind.title, "status": kind.status, "detail": kind.what_to_do or kind.title}
    return body | {"request_id": "9f0c2a6b4f1d4e0c8a7b5d3e1f2a4c6b"} | _MEMBERS.get(kind, {})


def handle_problems(app: FastAPI) -> None:
    """Return every error of the app as a problem, including those raised by the framework."""
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error, Problem):
        return error.response()
    if error.status_code == Kind.METHOD_NOT_ALLOWED.status:
        return Problem(Kind.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(_allowed_methods(request))}).response()
    kind = next((kind for kind in _RAISED_BY_FRAMEWORK if kind.status == error.status_code), None)
    if kind:
        return Problem(kind, headers=error.headers).response()
    body = {"type": "about:blank", "title": HTTPStatus(error.status_code).phrase, "status": error.status_code}
    return _response(body, error.status_code, error.headers)


def _allowed_methods(request: Request) -> list[str]:
    """Every method of the path (RFC 9110, section 10.2.1). The framework itself reports only the first route's."""
    path = request.scope["route"].path
    routes = iter_route_contexts(request.app.routes)
    return sorted({method for route in routes if route.path == path for method in route.methods or ()})


def _response(body: dict[str, Any], status: int, headers: Mapping[str, str] | None) -> JSONResponse:
    return JSONResponse(body | {"request_id": logs.bound().get(logs.REQUEST_ID)}, status, headers, MEDIA_TYPE)


async def _on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _validation_problem(error.errors()).response()


def _validation_problem(errors: Sequence[Any]) -> Problem:
    places = {str(each["loc"][0]) for each in errors}
    if "path" in places:
        # A malformed id cannot identify anything.
        return Problem(Kind.NOT_FOUND)
    if any(each["loc"] == ("header", "Idempotency-Key") for each in errors):
        return Problem(Kind.IDEMPOTENCY_KEY_REQUIRED, "Send 1 to 255 printable ASCII characters, new for each request.")
    return Problem(Kind.REQUEST_INVALID, errors=list(_without_values(errors)))


def _without_values(errors: Iterable[Any]) -> Iterable[dict[str, str]]:
    """Leave out the submitted values: they may be personal, and clients log error bodies."""
    for each in errors:
        yield {"where": "/".join(str(part) for part in each["loc"]), "why": str(each["msg"])}
