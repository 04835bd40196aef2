"""Errors of calls that move money.

    PaymentError
    ├── Declined    final: asking again with the same request changes nothing (a refused card, a state that does not
    │               allow it, a request that Stripe will not take)
    ├── Retryable   nothing happened: ask again (rate limit, lock time-out, no connection)
    └── Unknown     it may have happened: look it up, then ask again (time-out, server error, connection lost)
        └── ReplayedFailure    Stripe repeats the server error that it stored for this idempotency key

Messages carry Stripe's codes and request ids only: they end up in workflow histories and logs.
"""


class PaymentError(Exception):
    """A call that moves money failed, or its outcome is unknown."""


class Declined(PaymentError):
    """Final. `code` is Stripe's error code, `decline_code` the card network's reason where there is one.

    `param` is the parameter of the request that Stripe refused, such as the id of an object that is gone.
    """

    def __init__(
        self, code: str, decline_code: str | None = None, request_id: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(f"declined: {decline_code or code} (request {request_id or 'none'})")
        self.code = code
        self.decline_code = decline_code
        self.param = param

    @property
    def is_missing_customer(self) -> bool:
        """The customer of the request is deleted. Another one can take its place."""
        return self.code == "resource_missing" and self.param == "customer"


class Retryable(PaymentError):
    """Nothing happened; the same request may be sent again."""


class Unknown(PaymentError):
    """It may have happened. Never treat it as a decline: look it up first."""


class ReplayedFailure(Unknown):
    """Stripe replays a stored server error. If a look-up shows no effect, only another key can succeed."""
