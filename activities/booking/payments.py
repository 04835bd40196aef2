"""The effects on the student's money, as the saga calls them. Each may run again until its outcome is known."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.booking.payment_plans import Plan
from activities.booking.students import contact_of
from activities.gateways import CheckoutRequest, PaymentGateway
from activities.idempotency import with_idempotency_key
from models.domain.ids import customer_key
from models.domain.messages import Checkout, PaymentRef, PaymentState, SecurePayment, SettlePayment
from models.domain.policy import PaymentPlan, split


def _is_retry() -> bool:
    return activity.info().attempt > 1


class PaymentActivities:
    """Names and addresses are read from Postgres in here, so that they never enter a history."""

    def __init__(self, engine: AsyncEngine, gateway: PaymentGateway, plans: Mapping[PaymentPlan, Plan]) -> None:
        self._engine = engine
        self._gateway = gateway
        self._plans = plans

    @activity.defn
    async def secure_payment(self, request: SecurePayment) -> Checkout:
        """Make the Checkout Session on which the student pays. Raises `Declined` when Stripe refuses it."""
        terms = request.terms
        customer_id = await self._customer(terms.student_id)
        checkout = CheckoutRequest(
            terms=terms,
            split=split(terms.price, terms.policy),
            customer_id=customer_id,
            expires_at=request.expires_at,
        )
        return await self._plans[terms.plan].secure(checkout, retrying=_is_retry())

    @activity.defn
    async def look_up_payment(self, ref: PaymentRef) -> PaymentState:
        """Where the money is now, as Stripe tells."""
        return await self._plans[ref.plan].look_up(ref, await self._customer_of(ref))

    @activity.defn
    async def settle_payment(self, request: SettlePayment) -> PaymentState:
        """Capture what is kept. Raises `Declined` when the hold is gone."""
        return await self._plans[request.ref.plan].settle(request, retrying=_is_retry())

    @activity.defn
    async def release_payment(self, ref: PaymentRef) -> PaymentState:
        """Give everything back; nothing to give back is fine."""
        return await self._plans[ref.plan].release(ref, await self._customer_of(ref))

    async def _customer(self, student_id: UUID) -> str:
        contact = await contact_of(self._engine, student_id)
        if contact.customer_id:
            return contact.customer_id
        if _is_retry() and (found := await self._gateway.find_customer(student_id, contact.email)):
            return found
        return await with_idempotency_key(
            customer_key(student_id),
            _is_retry(),
            lambda key: self._gateway.create_customer(student_id, contact.email, contact.name, key=key),
        )

    async def _customer_of(self, ref: PaymentRef) -> str | None:
        """Needed only where a Checkout Session was perhaps made and its id was lost."""
        if ref.checkout_session_id is not None:
            return None
        return (await contact_of(self._engine, ref.student_id)).customer_id
