"""Payment plans: how a booking's money is secured, settled and released. The saga is the same for every plan."""

from typing import Protocol

from activities.gateways import CheckoutPage, CheckoutRequest, PaymentGateway
from activities.idempotency import with_idempotency_key
from models.domain.errors import Declined, Retryable
from models.domain.ids import stripe_key
from models.domain.messages import HoldPhase, PaymentRef, PaymentState, SettlePayment
from models.domain.settlements import Correction, RefundDifference, ReturnFee, next_correction, part_of_ending

_MAX_STEPS = 4
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


class HoldPlan:
    """A card hold: a destination charge that is captured after the session (`PaymentPlan.HOLD`)."""

    def __init__(self, gateway: PaymentGateway) -> None:
        self._gateway = gateway

    async def secure(self, request: CheckoutRequest, *, retrying: bool) -> CheckoutPage:
        """The key names the customer: one that was deleted is replaced, and a key takes only the same request again."""
        booking_id, customer_id = request.terms.booking_id, request.customer_id
        if retrying and (found := await self._gateway.find_checkout(customer_id, booking_id)):
            return found
        return await with_idempotency_key(
            stripe_key(booking_id, f"secure:{customer_id}"),
            retrying,
            lambda key: self._gateway.open_checkout(request, key=key),
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
        """Raises `Declined` if the hold or the account's transfers are gone, or the capture cannot be corrected."""
        ref, split = request.ref, request.split
        payment_intent_id = ref.payment_intent_id
        if payment_intent_id is None:
            raise Declined("no_payment_to_capture")
        payment = await self._capture(request, payment_intent_id, retrying)
        for _ in range(_MAX_STEPS):
            correction = next_correction(payment, split)
            if correction is None:
                return part_of_ending(payment, split)
            await self._correct(ref, payment_intent_id, correction)
            payment = await self.look_up(ref, None)
        raise Retryable("the payment kept changing while it was being settled")

    async def _capture(self, request: SettlePayment, payment_intent_id: str, retrying: bool) -> PaymentState:
        """The captured payment: captured now, in an earlier attempt, or by somebody in Stripe's dashboard."""
        ref = request.ref
        if retrying and (payment := await self.look_up(ref, None)).phase is HoldPhase.CAPTURED:
            return payment
        try:
            await self._require_transfers(request.stripe_account_id)
            return await with_idempotency_key(
                _step_key(ref, "settle"),
                retrying,
                lambda key: self._gateway.capture(payment_intent_id, request.split, key=key),
            )
        except Declined:
            if (payment := await self.look_up(ref, None)).phase is HoldPhase.CAPTURED:
                return payment
            raise

    async def _correct(self, ref: PaymentRef, payment_intent_id: str, correction: Correction) -> None:
        """The amount is part of the key: a payment that has changed since needs another step."""
        gateway, amount = self._gateway, correction.amount
        match correction:
            case RefundDifference():
                await with_idempotency_key(
                    _step_key(ref, f"refund_difference:{amount.amount_minor}"),
                    True,
                    lambda key: gateway.refund(payment_intent_id, ref.booking_id, amount=amount, key=key),
                )
            case ReturnFee():
                await with_idempotency_key(
                    _step_key(ref, f"return_fee:{amount.amount_minor}"),
                    True,
                    lambda key: gateway.return_fee(payment_intent_id, amount, key=key),
                )
            case _:
                await with_idempotency_key(
                    _step_key(ref, f"reverse_share:{amount.amount_minor}"),
                    True,
                    lambda key: gateway.reverse_share(payment_intent_id, amount, key=key),
                )

    async def release(self, ref: PaymentRef, customer_id: str | None) -> PaymentState:
        """Looks the payment up before each step: meanwhile the student may pay, or the hold may expire."""
        for _ in range(_MAX_STEPS):
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
            key = _step_key(ref, "expire_checkout")
            await with_idempotency_key(key, True, lambda key: gateway.expire_checkout(session_id, key=key))
        elif payment.phase is HoldPhase.HELD and payment_intent_id:
            key = _step_key(ref, "release")
            await with_idempotency_key(key, True, lambda key: gateway.cancel(payment_intent_id, key=key))
        elif payment.phase is HoldPhase.CAPTURED and payment_intent_id:
            key = _step_key(ref, "refund")
            await with_idempotency_key(
                key, True, lambda key: gateway.refund(payment_intent_id, ref.booking_id, key=key)
            )

    async def _require_transfers(self, account_id: str | None) -> None:
        """Raises `Declined` with the reason if Stripe has stopped the account's transfers since it was booked."""
        if account_id is not None and (obstacle := (await self._gateway.look_up_account(account_id)).obstacle):
            raise Declined(obstacle)


def _step_key(ref: PaymentRef, step: str) -> str:
    return stripe_key(ref.booking_id, step, ref.operator_round)
