"""One API request from its headers to its answer: who asks, what, whether it was asked before, and the log."""

import base64
import json
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.stripe import deadlines, form, routes
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
from sandbox.stripe.idempotency import Answer, Claim, IdempotencyKeys
from sandbox.stripe.ids import PLATFORM, new_id
from sandbox.stripe.json_values import JsonObject, copied
from sandbox.stripe.request_log import RequestLog
from sandbox.stripe.schema.answers import problems
from sandbox.stripe.schema.derive import API_VERSION, request_shape
from sandbox.stripe.schema.requests import coerced
from sandbox.stripe.views import INCLUDABLE

_KEY_PREFIX = "sk_test_"


@dataclass(frozen=True)
class Received:
    """A request as it came in."""

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
    """What became of a request. A dropped one is logged like any other and never answered."""

    answer: Answer
    headers: dict[str, str]
    dropped: bool = False


class Api:
    def __init__(self, context: Context, keys: IdempotencyKeys, log: RequestLog, faults: Faults) -> None:
        self._world = context
        self._keys = keys
        self._log = log
        self._faults = faults

    async def handle(self, request: Request) -> Response:
        received = await _received(request)
        deadlines.meet(self._world)
        fault = self._faults.strike(received.method, received.path)
        try:
            outcome = await self._outcome(received, fault)
        except StripeError as error:
            outcome = Outcome(_error_answer(error, received), error.headers)
        self._write_log(received, outcome)
        if outcome.dropped:
            return DroppedConnection()
        headers = {"Request-Id": received.id, "Stripe-Version": received.version or API_VERSION} | outcome.headers
        if received.idempotency_key:
            headers["Idempotency-Key"] = received.idempotency_key
        return JSONResponse(outcome.answer.body, outcome.answer.status, headers)

    async def _outcome(self, received: Received, fault: Fault | None) -> Outcome:
        account = self._account(received)
        if received.version not in (None, API_VERSION):
            raise invalid(f"The sandbox speaks version {API_VERSION} of Stripe's API only.").not_begun()
        if fault and (refusal := fault.refusal()):
            raise refusal
        found = routes.match(received.method, received.path)
        if found is None:
            raise unknown_url(received.method, received.path)
        route, path = found
        kind = fault.kind if fault else None
        if kind == "drop_before":
            return Outcome(_error_answer(internal("The connection was dropped."), received), {}, dropped=True)
        raw = _raw_params(received)
        claim = self._claim(received, account, raw)
        if isinstance(claim, Answer):
            return Outcome(claim, {"Idempotent-Replayed": "true", "Original-Request": claim.request_id})
        try:
            if fault:
                await fault.wait()
            params = coerced(request_shape(route.params), raw)
            call = Call(self._world, account, params, path, received.base_url)
            answer = self._run(received, route, call, claim, kind)
        finally:
            if claim is not None:
                self._keys.release(claim)
        return Outcome(answer, {}, dropped=kind == "drop_after")

    def _claim(self, received: Received, account: str, raw: JsonObject) -> Claim | Answer | None:
        if received.method != "POST" or not received.idempotency_key:
            return None
        return self._keys.claim(account, received.idempotency_key, received.method, received.path, raw)

    def _run(
        self, received: Received, route: routes.Route, call: Call, claim: Claim | None, fault: str | None
    ) -> Answer:
        """Run the operation and keep its answer, both or neither.

        An error undoes what the operation did, except a declined card's, whose traces Stripe keeps.
        """
        cause = Cause(received.id, received.idempotency_key if received.method == "POST" else None)
        store = self._world.store
        try:
            with store.transaction(), self._world.events.caused_by(cause):
                if fault == "error_before":
                    raise internal()
                answer = self._operate(received, route, call)
                if fault == "error_after":
                    answer = _error_answer(internal(), received)
                if claim is not None:
                    self._keys.keep(claim, answer)
        except StripeError as error:
            answer = _error_answer(error, received)
            if claim is not None and error.began:
                with store.transaction():
                    self._keys.keep(claim, answer)
        return answer

    def _operate(self, received: Received, route: routes.Route, call: Call) -> Answer:
        try:
            body = route.operation(call)
            body = expanded(self._world, copied(body), call.params.get("expand", []), INCLUDABLE)
        except StripeError as error:
            if not error.keeps_effects:
                raise
            return _error_answer(error, received)
        if found := problems(body):
            raise out_of_shape(f"the answer to {received.method} {received.path}", found)
        return Answer(200, body, received.id)

    def _account(self, received: Received) -> str:
        """The account that the request acts on.

        Raises:
            StripeError: 401 for a key that is no test key, 403 for an account that isn't the platform's.
        """
        key = _api_key(received.authorization)
        if not key:
            raise unauthorized(
                "You did not provide an API key. You need to provide your API key in the Authorization header, "
                "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
            )
        if not key.startswith(_KEY_PREFIX):
            raise unauthorized("Invalid API Key provided. The sandbox takes keys of the form sk_test_...")
        account = received.account
        if account is None or account == PLATFORM:
            return PLATFORM
        if self._world.store.find("account", account) is None:
            raise account_invalid(account).not_begun()
        return account

    def _write_log(self, received: Received, outcome: Outcome) -> None:
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
                "status": outcome.answer.status,
                "response": outcome.answer.body,
            }
        )


class DroppedConnection(Response):
    """An answer that begins and never comes: the server closes the connection on it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


async def _received(request: Request) -> Received:
    headers = request.headers
    return Received(
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


def _raw_params(received: Received) -> JsonObject:
    """The parameters: v1's in a form, v2's in JSON, and those of a GET in the query."""
    if received.method != "POST":
        return form.decode(received.query)
    if not received.path.startswith("/v2/"):
        return form.decode(received.body)
    try:
        return dict(json.loads(received.body or "{}"))
    except (TypeError, ValueError):
        raise invalid("Invalid JSON in the request body.").not_begun() from None


def _error_answer(error: StripeError, received: Received) -> Answer:
    request_log_url = f"https://dashboard.stripe.com/test/logs/{received.id}"
    return Answer(error.status, {"error": error.error | {"request_log_url": request_log_url}}, received.id)
