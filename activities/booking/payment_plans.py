"""Payment plans: how a booking's money is secured, settled and released. The saga is the same for every plan."""

from typing import Protocol

from activities.gateways import CheckoutPage, CheckoutRequest, PaymentGateway
from activities.idempotency import with_idempotency_key
from models.domain.errors import Declined, Retryable
from models.domain.ids import stripe_key
from models.domain.messages import HoldPhase, PaymentRef, PaymentState, SettlePayment
from models.domain.policy import Split

_MAX_RELEASE_STEPS = 4


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


class HoldPlan:
    """A card hold: a destination charge that is captured after the session (`PaymentPlan.HOLD`)."""

    def __init__(self, gateway: PaymentGateway) -> None:
        self._gateway = gateway

    async def secure(self, request: CheckoutRequest, *, retrying: bool) -> CheckoutPage:
        booking_id = request.terms.booking_id
        if retrying and (found := await self._gateway.find_checkout(request.customer_id, booking_id)):
            return found
        return await with_idempotency_key(
            stripe_key(booking_id, "secure"), retrying, lambda key: self._gateway.open_checkout(request, key=key)
        )

    async def look_up(self, ref: PaymentRef, customer_id: str | None) -> PaymentState:
        session_id = ref.checkout_session_id
        if session_id is None and customer_id is not None:
            found = await self._gateway.find_checkout(customer_id, ref.booking_id)
            session_id = found.checkout.checkout_session_id if found else None
        if session_id is None:
            return PaymentState(phase=HoldPhase.CLOSED)
        return await self._gateway.look_up(session_id)

    async def settle(self, request: SettlePayment, *, retrying: bool) -> PaymentState:
        """Raises `Declined` if the hold is gone, or if a different amount was captured."""
        ref, split = request.ref, request.split
        payment_intent_id = ref.payment_intent_id
        if payment_intent_id is None:
            raise Declined("no_payment_to_capture")
        if retrying and (captured := await self._find_capture(ref, split)):
            return captured
        try:
            return await with_idempotency_key(
                stripe_key(ref.booking_id, "settle", ref.operator_round),
                retrying,
                lambda key: self._gateway.capture(payment_intent_id, split, key=key),
            )
        except Declined:
            if captured := await self._find_capture(ref, split):
                return captured
            raise

    async def release(self, ref: PaymentRef, customer_id: str | None) -> PaymentState:
        """Looks the payment up before each step: meanwhile the student may pay, or the hold may expire."""
        for _ in range(_MAX_RELEASE_STEPS):
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
        gateway = self._gateway
        session_id, payment_intent_id = payment.checkout_session_id, payment.payment_intent_id
        if payment.phase is HoldPhase.OPEN and session_id:
            key = stripe_key(ref.booking_id, "expire_checkout", ref.operator_round)
            await with_idempotency_key(key, True, lambda key: gateway.expire_checkout(session_id, key=key))
        elif payment.phase is HoldPhase.HELD and payment_intent_id:
            key = stripe_key(ref.booking_id, "release", ref.operator_round)
            await with_idempotency_key(key, True, lambda key: gateway.cancel(payment_intent_id, key=key))
        elif payment.phase is HoldPhase.CAPTURED and payment_intent_id:
            key = stripe_key(ref.booking_id, "refund", ref.operator_round)
            with_fee = payment.platform_fee_minor > 0
            await with_idempotency_key(
                key, True, lambda key: gateway.refund(payment_intent_id, ref.booking_id, with_fee=with_fee, key=key)
            )

    async def _find_capture(self, ref: PaymentRef, split: Split) -> PaymentState | None:
        """The payment, or `None` if it is not captured. Raises `Declined` if a different amount was captured."""
        payment = await self.look_up(ref, None)
        if payment.phase is not HoldPhase.CAPTURED:
            return None
        if payment.captured_minor != split.kept.amount_minor:
            raise Declined("captured_amount_differs")
        return payment
