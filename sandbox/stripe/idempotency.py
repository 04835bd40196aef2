"""Idempotency keys (API reference, "Idempotent requests").

The first answer to a key is kept, errors and 500s included, once the operation has begun; the same request
again gets it back with `Idempotent-Replayed: true`. Another request under the key is an error, and so is the
same one while the first still runs. Keys are for POST, and are forgotten after a day.
"""

import hashlib
import json
from dataclasses import dataclass

from sandbox.stripe.clock import Clock
from sandbox.stripe.errors import invalid, key_in_use, key_reused
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.store import Store

_KIND = "sandbox.idempotency_key"
_KEPT_SECONDS = 24 * 3600
LONGEST_KEY = 255


@dataclass(frozen=True)
class Answer:
    """What was answered: status, JSON body, and the id of the request that produced it."""

    status: int
    body: JsonObject
    request_id: str


class Claim:
    """One request's hold on its key, between looking it up and having answered."""

    def __init__(self, scoped_key: str, fingerprint: str) -> None:
        self.scoped_key = scoped_key
        self.fingerprint = fingerprint


class IdempotencyKeys:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._running: dict[str, str] = {}

    def claim(self, account: str, key: str, method: str, path: str, params: JsonObject) -> Claim | Answer:
        """The key for this request, or the answer it already has.

        Raises:
            StripeError: `idempotency_error` where the key belongs to another request (400) or the same one is
                running (409); 400 for a key that is too long.
        """
        if len(key) > LONGEST_KEY:
            message = f"Idempotency keys can be at most {LONGEST_KEY} characters long."
            raise invalid(message).not_begun()
        scoped_key, fingerprint = f"{account}/{key}", _fingerprint(method, path, params)
        known = self._store.find(_KIND, scoped_key)
        if known is not None and known.body["created"] + _KEPT_SECONDS > self._clock.now():
            if known.body["fingerprint"] != fingerprint:
                raise key_reused(key)
            return Answer(known.body["status"], known.body["answer"], known.body["request_id"])
        if scoped_key in self._running:
            raise key_in_use(key) if self._running[scoped_key] == fingerprint else key_reused(key)
        self._running[scoped_key] = fingerprint
        return Claim(scoped_key, fingerprint)

    def keep(self, claim: Claim, answer: Answer) -> None:
        """Remember the answer, in the same transaction as what it answers for."""
        body = {
            "id": claim.scoped_key,
            "answer": answer.body,
            "created": self._clock.now(),
            "fingerprint": claim.fingerprint,
            "request_id": answer.request_id,
            "status": answer.status,
        }
        self._store.put(_KIND, claim.scoped_key, owner="", body=body)

    def release(self, claim: Claim) -> None:
        self._running.pop(claim.scoped_key, None)


def _fingerprint(method: str, path: str, params: JsonObject) -> str:
    text = json.dumps([method, path, params], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
