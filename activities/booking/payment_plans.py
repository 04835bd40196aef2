"""Payment plans: how a booking's money is secured, settled and released. The saga is the same for every plan."""

from abc import ABC, abstractmethod
from typing import Protocol

from activities.gateways import CheckoutPage, CheckoutRequest, PaymentGateway
from activities.idempotency import with_idempotency_key
from models.domain.errors import Declined, Retryable
from models.domain.ids import stripe_key
from models.domain.payments import (
    PAID_AGAIN,
    PAYMENT_PROCESSING,
    HoldPhase,
    PaymentRef,
    PaymentState,
    SettlePayment,
)

MAX_STEPS = 4
"""How often a payment is looked up and changed in one attempt."""


class Plan(Protocol):
    """Every method may be repeated until it returns. `retrying` says that an earlier attempt's outcome is unknown.

    All raise `PaymentError`s.
    """

    async def secure(self, request: CheckoutRequest, *, retrying: bool) -> CheckoutPage:
        """Create the Checkout Session on which the student pays. Raises `Declined` if Stripe rejects it."""

    async def look_up(self, ref: PaymentRef, customer_id: str | None) -> PaymentState:
        """The payment's current state."""

    async def settle(self, request: SettlePayment, *, retrying: bool) -> PaymentState:
        """Pay the instructor their share of `split.kept`, and return the rest to the student."""

    async def release(self, ref: PaymentRef, customer_id: str | None) -> PaymentState:
        """Return everything to the student, whatever state the payment is in."""


class CheckoutPlan(ABC):
    """What all plans share: the student pays on Checkout, and a release looks before each step."""

    def __init__(self, gateway: PaymentGateway) -> None:
        self._gateway = gateway

    async def secure(self, request: CheckoutRequest, *, retrying: bool) -> CheckoutPage:
        """The key names the customer: one that was deleted is replaced, and a key takes only the same request again."""
        booking_id, customer_id, page = request.terms.booking_id, request.customer_id, request.renewal_page
        if retrying and (found := await self._gateway.find_checkout(customer_id, booking_id, page)):
            return found
        step = f"renew:{page}" if page else "secure"
        return await with_idempotency_key(
            stripe_key(booking_id, f"{step}:{customer_id}"),
            retrying,
            lambda key: self._gateway.open_checkout(request, key=key),
        )

    async def look_up(self, ref: PaymentRef, customer_id: str | None) -> PaymentState:
        session_id = ref.checkout_session_id
        if session_id is None and customer_id is not None:
            found = await self._gateway.find_checkout(customer_id, ref.booking_id, 0)
            session_id = found.checkout.checkout_session_id if found else None
        if session_id is None:
            return PaymentState(phase=HoldPhase.CLOSED)
        return await self._gateway.look_up(session_id)

    async def release(self, ref: PaymentRef, customer_id: str | None) -> PaymentState:
        """Looks the payment up before each step: meanwhile the student may pay, or the hold may expire."""
        for _ in range(MAX_STEPS):
            payment = await self.look_up(ref, customer_id)
            if payment.phase in (HoldPhase.CLOSED, HoldPhase.GONE) or payment.is_returned:
                return payment
            try:
                await self._undo(ref, payment)
            except Declined as declined:
                if await self.look_up(ref, customer_id) == payment:
                    raise declined
        raise Retryable("the payment kept changing while it was being released")

    async def _undo(self, ref: PaymentRef, payment: PaymentState) -> None:
        """One step of the release. What was paid again is not returned here: it takes the place of the hold."""
        if payment.phase is HoldPhase.OPEN and (session_id := payment.checkout_session_id):
            key = step_key(ref, f"expire_checkout:{session_id}" if ref.is_renewal else "expire_checkout")
            await with_idempotency_key(key, True, lambda key: self._gateway.expire_checkout(session_id, key=key))
        elif payment.phase is HoldPhase.PROCESSING:
            raise Declined(PAYMENT_PROCESSING)
        elif ref.is_renewal:
            raise Declined(PAID_AGAIN)
        elif payment_intent_id := payment.payment_intent_id:
            await self._return(ref, payment, payment_intent_id)

    @abstractmethod
    async def _return(self, ref: PaymentRef, payment: PaymentState, payment_intent_id: str) -> None:
        """One step of the release of a payment that was made."""

    async def _require_transfers(self, account_id: str | None) -> None:
        """Raises `Declined` with the reason if the account cannot receive transfers, or no longer can."""
        if account_id is not None and (obstacle := (await self._gateway.look_up_account(account_id)).obstacle):
            raise Declined(obstacle)


def step_key(ref: PaymentRef, step: str) -> str:
    return stripe_key(ref.booking_id, step, ref.operator_round)
