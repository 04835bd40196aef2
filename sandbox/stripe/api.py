"""The handling of an API request: authentication, routing, idempotency, faults, the operation and the log."""

import base64
import json
import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.stripe import deadlines, form, limits, routes
from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import (
    StripeError,
    account_invalid,
    internal,
    invalid,
    out_of_shape,
    unauthorized,
    unknown_url,
)
from sandbox.stripe.events import Cause
from sandbox.stripe.expansion import expanded
from sandbox.stripe.faults import Fault, Faults
from sandbox.stripe.idempotency import ApiResponse, Claim, IdempotencyKeys, first_headers, replay_headers
from sandbox.stripe.ids import PLATFORM, new_id
from sandbox.stripe.json_values import JsonObject, copied
from sandbox.stripe.request_log import RequestLog
from sandbox.stripe.schema.answers import response_problems
from sandbox.stripe.schema.derive import API_VERSION, request_shape
from sandbox.stripe.schema.requests import check_emails, coerced, in_pinned_names
from sandbox.stripe.views import INCLUDABLE

_VERSION = re.compile(r"^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$")
_KEY_PREFIXES = ("sk_test_", "rk_test_")


@dataclass(frozen=True)
class ReceivedRequest:
    """The parts of an HTTP request that the API uses."""

    id: str
    method: str
    path: str
    query: str
    body: str
    content_type: str | None
    authorization: str
    idempotency_key: str | None
    account: str | None
    version: str | None
    base_url: str


@dataclass(frozen=True)
class Outcome:
    """The outcome of a request. A dropped request is logged like any other, but its response is never sent."""

    response: ApiResponse
    headers: dict[str, str]
    dropped: bool = False


class Api:
    def __init__(
        self,
        context: Context,
        keys: IdempotencyKeys,
        log: RequestLog,
        faults: Faults,
        public_url: str | None = None,
    ) -> None:
        self._public_url = public_url.rstrip("/") if public_url else None
        self._context = context
        self._keys = keys
        self._log = log
        self._faults = faults

    async def handle(self, request: Request) -> Response:
        received = await _received(request)
        deadlines.run_due(self._context)
        fault = self._faults.hit(received.method, received.path)
        try:
            outcome = await self._outcome(received, fault)
        except StripeError as error:
            outcome = Outcome(_error_response(error, received), error.headers)
        self._write_log(received, outcome)
        if outcome.dropped:
            return DroppedConnection()
        headers = {"Request-Id": received.id, "Stripe-Version": API_VERSION} | outcome.headers
        if received.idempotency_key:
            headers["Idempotency-Key"] = received.idempotency_key
        return JSONResponse(outcome.response.body, outcome.response.status, headers)

    async def _outcome(self, received: ReceivedRequest, fault: Fault | None) -> Outcome:
        account = self._account(received)
        self._check_version(received.version)
        if fault and (error := fault.early_error()):
            raise error
        found = routes.match(received.method, received.path)
        if found is None:
            raise unknown_url(received.method, received.path)
        route, path = found
        kind = fault.kind if fault else None
        if kind == "drop_before":
            return Outcome(_error_response(internal("The connection was dropped."), received), {}, dropped=True)
        raw = _raw_params(received)
        claim = self._claim(received, account, raw)
        if isinstance(claim, ApiResponse):
            return Outcome(claim, replay_headers(claim))
        try:
            if fault:
                await fault.wait()
            shape = request_shape(route.params)
            params = coerced(shape, raw if self._is_pinned(received.version) else in_pinned_names(shape, raw))
            if received.method == "POST":
                check_emails(params)
            call = Call(self._context, account, params, path, self._public_url or received.base_url)
            response = self._run(received, route, call, claim, kind)
        except StripeError as error:
            response = _error_response(error, received)
        finally:
            if claim is not None:
                self._keys.release(claim)
        return Outcome(response, first_headers(claim, received.id), dropped=kind == "drop_after")

    @staticmethod
    def _is_pinned(version: str | None) -> bool:
        return version in (None, API_VERSION)

    def _check_version(self, version: str | None) -> None:
        """Raises StripeError: 400 for what is no version, and for every other version if the sandbox is strict."""
        if self._is_pinned(version):
            return
        if self._context.strict_version:
            raise invalid(f"The sandbox speaks version {API_VERSION} of Stripe's API only.").not_begun()
        if not _VERSION.match(str(version)):
            raise invalid("Invalid Stripe API version. It has the form 2020-08-27 or 2025-03-31.basil.").not_begun()

    def _claim(self, received: ReceivedRequest, account: str, raw: JsonObject) -> Claim | ApiResponse | None:
        if received.method != "POST" or not received.idempotency_key:
            return None
        return self._keys.claim(account, received.idempotency_key, received.method, received.path, raw)

    def _run(
        self, received: ReceivedRequest, route: routes.Route, call: Call, claim: Claim | None, fault: str | None
    ) -> ApiResponse:
        """Run the operation and store its response under the key, in one transaction.

        An error rolls the operation back, except a card decline, whose records Stripe keeps.
        """
        cause = Cause(received.id, received.idempotency_key if received.method == "POST" else None)
        store = self._context.store
        try:
            with store.transaction(), self._context.events.caused_by(cause):
                if fault == "error_before":
                    raise internal()
                response = self._operate(received, route, call)
                if fault == "error_after":
                    response = _error_response(internal(), received)
                if claim is not None:
                    self._keys.store(claim, response)
        except StripeError as error:
            response = _error_response(error, received)
            if claim is not None and error.began:
                with store.transaction():
                    self._keys.store(claim, response)
        return response

    def _operate(self, received: ReceivedRequest, route: routes.Route, call: Call) -> ApiResponse:
        try:
            limits.check(call.params)
            body = route.operation(call)
            limits.check_metadata(body.get("metadata"))
            body = expanded(self._context, copied(body), call.params.get("expand", []), INCLUDABLE)
        except StripeError as error:
            if not error.keeps_effects:
                raise
            return _error_response(error, received)
        if found := response_problems(body):
            raise out_of_shape(f"the answer to {received.method} {received.path}", found)
        return ApiResponse(200, body, received.id)

    def _account(self, received: ReceivedRequest) -> str:
        """The account that the request acts on.

        Raises:
            StripeError: 401 if the key is not a test key, 403 for an account that is not connected to the platform.
        """
        key = _api_key(received.authorization)
        if not key:
            raise unauthorized(
                "You did not provide an API key. You need to provide your API key in the Authorization header, "
                "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
            )
        if not key.startswith(_KEY_PREFIXES):
            raise unauthorized("Invalid API Key provided. The sandbox takes sk_test_... and rk_test_... keys.")
        account = received.account
        if account is None or account == PLATFORM:
            return PLATFORM
        if self._context.store.find("account", account) is None:
            raise account_invalid(account).not_begun()
        return account

    def _write_log(self, received: ReceivedRequest, outcome: Outcome) -> None:
        target = received.path + (f"?{received.query}" if received.query else "")
        self._log.write(
            {
                "method": received.method,
                "path": target,
                "idempotency_key": received.idempotency_key,
                "stripe_account": received.account,
                "stripe_version": received.version,
                "content_type": received.content_type,
                "body": received.body,
                "status": outcome.response.status,
                "response": outcome.response.body,
            }
        )


class DroppedConnection(Response):
    """A response with headers and no body, on which the server closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


async def _received(request: Request) -> ReceivedRequest:
    headers = request.headers
    return ReceivedRequest(
        id=new_id("req", 14),
        method=request.method,
        path=request.url.path,
        query=request.url.query,
        body=(await request.body()).decode(errors="replace"),
        content_type=headers.get("content-type"),
        authorization=headers.get("authorization", ""),
        idempotency_key=headers.get("idempotency-key"),
        account=headers.get("stripe-account"),
        version=headers.get("stripe-version"),
        base_url=str(request.base_url).rstrip("/"),
    )


def _api_key(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0]
        except ValueError:
            return ""
    return ""


def _raw_params(received: ReceivedRequest) -> JsonObject:
    """The parameters: form-encoded for v1, JSON for v2, and in the query string for other methods than POST."""
    if received.method != "POST":
        return form.decode(received.query)
    if not received.path.startswith("/v2/"):
        return form.decode(received.body)
    try:
        return dict(json.loads(received.body or "{}"))
    except (TypeError, ValueError):
        raise invalid("Invalid JSON in the request body.").not_begun() from None


def _error_response(error: StripeError, received: ReceivedRequest) -> ApiResponse:
    request_log_url = f"https://dashboard.stripe.com/test/logs/{received.id}"
    return ApiResponse(error.status, {"error": error.error | {"request_log_url": request_log_url}}, received.id)
