"""What a payment is made with: a test card, a test bank account or a wallet (docs "Testing")."""

from dataclasses import dataclass
from typing import Literal

from sandbox.stripe.json_values import JsonObject

AdviceCode = Literal["confirm_card_data", "do_not_try_again", "try_again_later"]
_NETWORK_ADVICE = {"confirm_card_data": "01", "try_again_later": "02", "do_not_try_again": "03"}


@dataclass(frozen=True)
class Decline:
    """How a bank declines a payment (docs "Decline codes", "Card declines: retrying issuer declines")."""

    code: str
    decline_code: str | None
    message: str
    advice_code: AdviceCode | None = None
    network_decline_code: str | None = None
    param: str | None = None

    def failure(self) -> JsonObject:
        """The fields that an API error, an intent's last error and a failed charge share. They omit what is None."""
        fields = {
            "code": self.code,
            "decline_code": self.decline_code,
            "message": self.message,
            "advice_code": self.advice_code,
            "network_advice_code": _NETWORK_ADVICE[self.advice_code] if self.advice_code else None,
            "network_decline_code": self.network_decline_code,
            "param": self.param,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Instrument:
    """A test card or account, and its behaviour. A wallet has one only, whose number is the name of its type."""

    number: str
    token: str
    brand: str | None
    description: str
    type: str = "card"
    decline: Decline | None = None
    authentication: Literal["never", "always", "off_session"] = "never"
    dispute_reason: str | None = None
    inquiry: bool = False
    fraud_type: str | None = None
    available_at_once: bool = False
    refunds: Literal["succeed", "pending", "fail"] = "succeed"
    stays_processing: bool = False

    @property
    def last4(self) -> str:
        return self.number[-4:]

    @property
    def fingerprint(self) -> str:
        return f"Sandbox{self.number[-9:]}"
