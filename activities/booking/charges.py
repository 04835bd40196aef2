"""The plan `CHARGE_THEN_TRANSFER`: a charge of the platform's, of which the instructor's share is transferred later.

The platform's fee is what is not transferred. Source: Stripe, "Create separate charges and transfers".
"""

from activities.booking.payment_plans import MAX_STEPS, CheckoutPlan, step_key
from activities.gateways import CheckoutPage, CheckoutRequest, ShareTransfer
from activities.idempotency import with_idempotency_key
from models.domain.errors import Declined, Retryable
from models.domain.money import Money
from models.domain.payments import (
    CHARGE_DISPUTED,
    HoldPhase,
    PaymentRef,
    PaymentState,
    SettlePayment,
)
from models.domain.settlements import RefundDifference, ReverseShare, TransferShare, next_step, part_of_ending

DISPUTE_LOST = "dispute_lost"
"""The student has the money back: there is nothing to transfer."""


class ChargeThenTransferPlan(CheckoutPlan):
    async def secure(self, request: CheckoutRequest, *, retrying: bool) -> CheckoutPage:
        """Raises `Declined` if the account cannot receive transfers: without a destination, Stripe does not check it.

        Not before a payment that is made again: its booking goes on, and the account may recover until the transfer.
        """
        if not request.renewal_page:
            await self._require_transfers(request.terms.stripe_account_id)
        return await super().secure(request, retrying=retrying)

    async def look_up(self, ref: PaymentRef, customer_id: str | None) -> PaymentState:
        """With what was transferred of it."""
        payment = await super().look_up(ref, customer_id)
        if payment.phase is not HoldPhase.CAPTURED or payment.charge_id is None:
            return payment
        made = await self._gateway.transfers_of(payment.charge_id, ref.booking_id)
        transferred = sum(each.amount.amount_minor for each in made)
        return _held(payment.with_transfers(transferred, sum(each.reversed_minor for each in made)))

    async def settle(self, request: SettlePayment, *, retrying: bool) -> PaymentState:
        """Refund what goes back, then transfer the share.

        Raises `Declined` if the charge is disputed or gone, or the account's transfers are.
        """
        ref, split = request.ref, request.split
        payment = await self.look_up(ref, None)
        for _ in range(MAX_STEPS):
            if payment.phase not in (HoldPhase.HELD, HoldPhase.CAPTURED):
                raise Declined("no_payment_to_settle")
            if payment.is_disputed or payment.lost_minor:
                raise Declined(DISPUTE_LOST if payment.lost_minor else CHARGE_DISPUTED)
            step = next_step(payment, split)
            if step is None:
                return part_of_ending(payment.with_share(split.instructor_payout), split)
            match step:
                case RefundDifference(amount=amount):
                    await self._refund(ref, payment.payment_intent_id or "", amount)
                    payment = await self.look_up(ref, None)
                case TransferShare(amount=amount):
                    await self._transfer(request, payment, amount)
                    payment = payment.with_share(split.instructor_payout)
                case ReverseShare(amount=amount):
                    await self._reverse(ref, payment, amount.amount_minor)
                    payment = await self.look_up(ref, None)
        raise Retryable("the payment kept changing while it was being settled")

    async def _transfer(self, request: SettlePayment, payment: PaymentState, amount: Money) -> None:
        """The amount is part of the key: if another one was transferred by hand, the rest is another step."""
        ref, account_id, charge_id = request.ref, request.stripe_account_id, payment.charge_id
        if account_id is None or charge_id is None:
            raise Declined("no_payment_to_settle")
        if payment.stripe_fee is None:
            raise Retryable("Stripe has not booked the charge yet: its currency on the balance is not known")
        await self._require_transfers(account_id)
        await with_idempotency_key(
            step_key(ref, f"transfer:{amount.amount_minor}"),
            True,
            lambda key: self._gateway.transfer(charge_id, account_id, ref.booking_id, amount, key=key),
        )

    async def _refund(self, ref: PaymentRef, payment_intent_id: str, amount: Money | None) -> None:
        """All that is left if there is no `amount`."""
        await with_idempotency_key(
            step_key(ref, f"refund:{amount.amount_minor}" if amount else "refund"),
            True,
            lambda key: self._gateway.refund_charge(
                payment_intent_id, ref.booking_id, amount, is_fraudulent=ref.is_fraudulent, key=key
            ),
        )

    async def _reverse(self, ref: PaymentRef, payment: PaymentState, excess_minor: int) -> None:
        """Take back what was transferred beyond what the instructor is to have. Usually that is one transfer's."""
        for made in await self._gateway.transfers_of(payment.charge_id or "", ref.booking_id):
            part = min(made.left_minor, excess_minor)
            if part > 0:
                excess_minor -= part
                await self._reverse_part(ref, made, part)

    async def _reverse_part(self, ref: PaymentRef, made: ShareTransfer, part: int) -> None:
        amount = Money(amount_minor=part, currency=made.amount.currency)
        key = step_key(ref, f"reverse:{made.transfer_id}:{part}")
        await with_idempotency_key(
            key, True, lambda key: self._gateway.reverse_transfer(made.transfer_id, amount, key=key)
        )

    async def _return(self, ref: PaymentRef, payment: PaymentState, payment_intent_id: str) -> None:
        if payment.transferred_share_minor > 0:
            await self._reverse(ref, payment, payment.transferred_share_minor)
        else:
            await self._refund(ref, payment_intent_id, None)


def _held(payment: PaymentState) -> PaymentState:
    """What Stripe calls succeeded is only held here, until a part of it is the instructor's."""
    if payment.phase is not HoldPhase.CAPTURED or payment.transferred_minor:
        return payment
    is_returned = payment.refunded_minor + payment.lost_minor >= payment.captured_minor
    return payment.model_copy(update={"phase": HoldPhase.GONE if is_returned else HoldPhase.HELD})
