"""Idempotency keys (API reference, "Idempotent requests").

The first response to a key is stored, including errors and 500s, once the operation has begun: parameters that are not
valid leave the key unused. A retry of the same request gets the stored response with `Idempotent-Replayed: true`. A
different request with the key is an error, and so is a retry while the first request is in progress. Keys apply to POST
and expire after a day.

Every response to a key names the `Original-Request`. A stored one also says `Stripe-Should-Retry: false`, the first
time already: a retry can only get the same response.
"""

import hashlib
import json
from dataclasses import dataclass

from sandbox.stripe.clock import Clock
from sandbox.stripe.errors import invalid, key_in_use, key_reused
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.store import Store

_KIND = "sandbox.idempotency_key"
_LIFETIME_SECONDS = 24 * 3600
MAX_KEY_LENGTH = 255


@dataclass(frozen=True)
class ApiResponse:
    """A response: its status, its JSON body and the id of the request that produced it."""

    status: int
    body: JsonObject
    request_id: str


class Claim:
    """A key that is in use by a request in progress."""

    def __init__(self, scoped_key: str, fingerprint: str) -> None:
        self.scoped_key = scoped_key
        self.fingerprint = fingerprint
        self.is_stored = False


class IdempotencyKeys:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._in_progress: dict[str, str] = {}

    def claim(self, account: str, key: str, method: str, path: str, params: JsonObject) -> Claim | ApiResponse:
        """Claim the key for this request, or return its stored response.

        Raises:
            StripeError: `idempotency_error` if the key belongs to another request (400) or the same request is in
                progress (409); 400 for a key that is too long.
        """
        if len(key) > MAX_KEY_LENGTH:
            message = f"Idempotency keys can be at most {MAX_KEY_LENGTH} characters long."
            raise invalid(message).not_begun()
        scoped_key, fingerprint = f"{account}/{key}", _fingerprint(method, path, params)
        known = self._store.find(_KIND, scoped_key)
        if known is not None and known.body["created"] + _LIFETIME_SECONDS > self._clock.now():
            if known.body["fingerprint"] != fingerprint:
                raise key_reused(key)
            return ApiResponse(known.body["status"], known.body["response"], known.body["request_id"])
        if scoped_key in self._in_progress:
            raise key_in_use(key) if self._in_progress[scoped_key] == fingerprint else key_reused(key)
        self._in_progress[scoped_key] = fingerprint
        return Claim(scoped_key, fingerprint)

    def store(self, claim: Claim, response: ApiResponse) -> None:
        """Store the response under the key, in the transaction of the operation."""
        body = {
            "id": claim.scoped_key,
            "response": response.body,
            "created": self._clock.now(),
            "fingerprint": claim.fingerprint,
            "request_id": response.request_id,
            "status": response.status,
        }
        self._store.put(_KIND, claim.scoped_key, owner="", body=body)
        claim.is_stored = True

    def release(self, claim: Claim) -> None:
        self._in_progress.pop(claim.scoped_key, None)


def replay_headers(response: ApiResponse) -> dict[str, str]:
    return {"Idempotent-Replayed": "true", **_headers(response.request_id, is_stored=True)}


def first_headers(claim: Claim | None, request_id: str) -> dict[str, str]:
    """The headers of the first response to a key, if the request has one."""
    return _headers(request_id, is_stored=claim.is_stored) if claim else {}


def _headers(original_request: str, *, is_stored: bool) -> dict[str, str]:
    return {"Original-Request": original_request} | ({"Stripe-Should-Retry": "false"} if is_stored else {})


def _fingerprint(method: str, path: str, params: JsonObject) -> str:
    text = json.dumps([method, path, params], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
