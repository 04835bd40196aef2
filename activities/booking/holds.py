"""The plan `HOLD`: a destination charge that is authorized on Checkout and captured after the session."""

from activities.booking.payment_plans import MAX_STEPS, CheckoutPlan, step_key
from activities.idempotency import with_idempotency_key
from models.domain.errors import Declined, Retryable
from models.domain.payments import HoldPhase, PaymentRef, PaymentState, SettlePayment
from models.domain.settlements import Correction, RefundDifference, ReturnFee, next_correction, part_of_ending


class HoldPlan(CheckoutPlan):
    async def settle(self, request: SettlePayment, *, retrying: bool) -> PaymentState:
        """Raises `Declined` if the hold or the account's transfers are gone, or the capture cannot be corrected."""
        ref, split = request.ref, request.split
        payment_intent_id = ref.payment_intent_id
        if payment_intent_id is None:
            raise Declined("no_payment_to_capture")
        payment = await self._capture(request, payment_intent_id, retrying)
        for _ in range(MAX_STEPS):
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
                step_key(ref, "settle"),
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
                    step_key(ref, f"refund_difference:{amount.amount_minor}"),
                    True,
                    lambda key: gateway.refund(payment_intent_id, ref.booking_id, amount=amount, key=key),
                )
            case ReturnFee():
                await with_idempotency_key(
                    step_key(ref, f"return_fee:{amount.amount_minor}"),
                    True,
                    lambda key: gateway.return_fee(payment_intent_id, amount, key=key),
                )
            case _:
                await with_idempotency_key(
                    step_key(ref, f"reverse_share:{amount.amount_minor}"),
                    True,
                    lambda key: gateway.reverse_share(payment_intent_id, amount, key=key),
                )

    async def _return(self, ref: PaymentRef, payment: PaymentState, payment_intent_id: str) -> None:
        gateway = self._gateway
        if payment.phase is HoldPhase.HELD:
            key = step_key(ref, "release")
            await with_idempotency_key(key, True, lambda key: gateway.cancel(payment_intent_id, key=key))
            return
        key = step_key(ref, "refund")
        await with_idempotency_key(key, True, lambda key: gateway.refund(payment_intent_id, ref.booking_id, key=key))
