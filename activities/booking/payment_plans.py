"""How a booking's money is secured, settled and released. A plan is chosen per booking; the saga reads the same."""

from typing import Protocol

from activities.gateways import CheckoutRequest, PaymentGateway
from activities.idempotency import with_idempotency_key
from models.domain.errors import Declined, Retryable
from models.domain.ids import stripe_key
from models.domain.messages import Checkout, HoldPhase, PaymentRef, PaymentState, SettlePayment
from models.domain.policy import Split

_MOST_UNDOINGS = 4


class Plan(Protocol):
    """Each verb may be repeated until it has an answer. `retrying` says that an earlier try's outcome is unknown."""

    async def secure(self, request: CheckoutRequest, *, retrying: bool) -> Checkout:
        """Ask the student for the money; `Declined` when Stripe will not."""

    async def look_up(self, ref: PaymentRef, customer_id: str | None) -> PaymentState:
        """Where the money is now."""

    async def settle(self, request: SettlePayment, *, retrying: bool) -> PaymentState:
        """Give the instructor their share of `split.kept`, and the student the rest back."""

    async def release(self, ref: PaymentRef, customer_id: str | None) -> PaymentState:
        """Give the student everything back, whatever has happened so far."""


class HoldPlan:
    """A card hold: a destination charge that is captured when the session is over (`PaymentPlan.HOLD`)."""

    def __init__(self, gateway: PaymentGateway) -> None:
        self._gateway = gateway

    async def secure(self, request: CheckoutRequest, *, retrying: bool) -> Checkout:
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
            session_id = found.checkout_session_id if found else None
        if session_id is None:
            return PaymentState(phase=HoldPhase.CLOSED)
        return await self._gateway.look_up(session_id)

    async def settle(self, request: SettlePayment, *, retrying: bool) -> PaymentState:
        """Raises `Declined` when the hold is gone, or when another amount was captured than was asked for."""
        ref, split = request.ref, request.split
        payment_intent_id = ref.payment_intent_id
        if payment_intent_id is None:
            raise Declined("no_payment_to_capture")
        if retrying and (done := await self._captured(ref, split)):
            return done
        try:
            return await with_idempotency_key(
                stripe_key(ref.booking_id, "settle", ref.operator_round),
                retrying,
                lambda key: self._gateway.capture(payment_intent_id, split, key=key),
            )
        except Declined:
            if done := await self._captured(ref, split):
                return done
            raise

    async def release(self, ref: PaymentRef, customer_id: str | None) -> PaymentState:
        """Looks before each step: between a look and its step the student may pay, or Stripe let the hold go."""
        for _ in range(_MOST_UNDOINGS):
            payment = await self.look_up(ref, customer_id)
            if payment.phase in (HoldPhase.CLOSED, HoldPhase.GONE) or payment.is_returned:
                return payment
            try:
                await self._undo(ref, payment)
            except Declined as refusal:
                moved = await self.look_up(ref, customer_id)
                if moved == payment:
                    raise refusal
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

    async def _captured(self, ref: PaymentRef, split: Split) -> PaymentState | None:
        """The payment, if it is captured; `Declined` if what was captured is not what was asked for."""
        payment = await self.look_up(ref, None)
        if payment.phase is not HoldPhase.CAPTURED:
            return None
        if payment.captured_minor != split.kept.amount_minor:
            raise Declined("captured_amount_differs")
        return payment
