"""Stripe's errors.

    StripeError
    ├── status 400, invalid_request_error   the request is invalid, or the object's state does not allow it
    ├── status 402, card_error              the card was declined; the failed charge stays recorded
    ├── status 404, invalid_request_error   `resource_missing`
    ├── status 400, idempotency_error       the key was used with other parameters
    ├── status 409, idempotency_error       a request with the key is in progress
    ├── status 429, rate_limit or lock      rejected before the operation
    └── status 500, api_error               Stripe's own failure; the operation may have taken effect

Sources: Stripe API reference, "Errors" and "Idempotent requests"; docs "Error codes".
"""

from sandbox.stripe.json_values import JsonObject


class StripeError(Exception):
    """An error response.

    `began` says whether the operation had begun: only then is the response stored under the idempotency key.
    `keeps_effects` says whether the operation's changes are committed.
    """

    def __init__(
        self,
        status: int,
        type: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        extra: JsonObject | None = None,
        headers: dict[str, str] | None = None,
        began: bool = True,
        keeps_effects: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: JsonObject = {"message": message, "type": type}
        optional = {"code": code, "param": param}
        self.error |= {name: value for name, value in optional.items() if value is not None}
        if code is not None:
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        self.error |= extra or {}
        self.headers = headers or {}
        self.began = began
        self.keeps_effects = keeps_effects

    def not_begun(self) -> "StripeError":
        self.began = False
        return self


def invalid(message: str, *, code: str | None = None, param: str | None = None) -> StripeError:
    """An operation does not begin with parameters that are not valid, wherever that is noticed."""
    began = code is None or not code.startswith("parameter_")
    return StripeError(400, "invalid_request_error", message, code=code, param=param, began=began)


def not_modelled(param: str) -> StripeError:
    """The sandbox's own error: Stripe supports the parameter, but the sandbox does not."""
    return invalid(f"The sandbox does not model the parameter {param} here; see docs/sandbox.md.", param=param)


def no_such(kind: str, id: str, param: str, *, status: int = 404) -> StripeError:
    """The account has no object with this id: 404 for an id in the path, 400 for one in a parameter."""
    message = f"No such {kind}: '{id}'"
    return StripeError(status, "invalid_request_error", message, code="resource_missing", param=param)


def account_invalid(account: str) -> StripeError:
    """An account that the key has no access to (docs "Error codes", `account_invalid`)."""
    message = (
        f"The provided key does not have access to account '{account}' (or that account does not exist). "
        "Application access may have been revoked."
    )
    return StripeError(403, "invalid_request_error", message, code="account_invalid")


def unexpected_state(message: str, intent: JsonObject) -> StripeError:
    """A PaymentIntent's status does not allow the call. The error has the intent."""
    return StripeError(
        400,
        "invalid_request_error",
        message,
        code="payment_intent_unexpected_state",
        extra={"payment_intent": intent},
    )


def card_declined(failure: JsonObject) -> StripeError:
    """A declined card. The failed charge and the intent's last error stay recorded."""
    return StripeError(402, "card_error", failure["message"], code=failure["code"], extra=failure, keeps_effects=True)


def unauthorized(message: str) -> StripeError:
    return StripeError(401, "invalid_request_error", message, began=False)


def unknown_url(method: str, path: str) -> StripeError:
    message = (
        f"Unrecognized request URL ({method}: {path}). The sandbox models a part of Stripe only; "
        "docs/sandbox.md says which."
    )
    return StripeError(404, "invalid_request_error", message, began=False)


def key_reused(key: str) -> StripeError:
    message = (
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request."
    )
    return StripeError(400, "idempotency_error", message, began=False)


def key_in_use(key: str) -> StripeError:
    message = (
        "There is currently another in-progress request using this Idempotent Key (that probably means you "
        f"submitted twice, and the other request is still going through): {key}. Please try again later."
    )
    return StripeError(409, "idempotency_error", message, code="idempotency_key_in_use", began=False)


def rate_limited(should_retry: bool | None) -> StripeError:
    headers = {} if should_retry is None else {"Stripe-Should-Retry": str(should_retry).lower()}
    return StripeError(
        429,
        "invalid_request_error",
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        code="rate_limit",
        headers=headers,
        began=False,
    )


def lock_timeout() -> StripeError:
    """Another request held the object's lock for too long (docs "Rate limits", "Object lock timeouts")."""
    message = (
        "This object cannot be accessed right now because another API request or Stripe process is currently "
        "accessing it. If you see this error intermittently, retry the request."
    )
    return StripeError(
        429,
        "invalid_request_error",
        message,
        code="lock_timeout",
        headers={"Stripe-Should-Retry": "true"},
        began=False,
    )


def internal(message: str = "An unknown error occurred", *, keeps_effects: bool = False) -> StripeError:
    return StripeError(500, "api_error", message, keeps_effects=keeps_effects)


def out_of_shape(what: str, problems: list[str]) -> StripeError:
    """The sandbox built an object that Stripe would not return. This is a bug in the sandbox."""
    return internal(f"The sandbox is at fault: {what} does not have Stripe's shape: {'; '.join(problems)}")
