"""Activities that move the student's money. Each may be retried until its outcome is known."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col
from temporalio import activity

from activities.booking import renewals
from activities.booking.checkout_text import load_text
from activities.booking.payment_plans import Plan
from activities.booking.students import StudentCustomers, load_contact
from activities.database import audit
from activities.database.transactions import transaction
from activities.gateways import CheckoutPage, CheckoutRequest, PaymentGateway
from activities.onboarding import check_account
from models.domain.errors import Declined
from models.domain.payment_methods import DELAYED
from models.domain.payment_plans import DELAYED_CONFIRMATION
from models.domain.payments import (
    Checkout,
    PaymentRef,
    PaymentState,
    SecurePayment,
    SettlePayment,
)
from models.domain.policy import PaymentPlan, split
from models.domain.states import HOLDS_SLOT, PaymentStatus
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment


def _is_retry() -> bool:
    return activity.info().attempt > 1


class PaymentActivities:
    """Reads names and email addresses from Postgres itself, so that they never enter a workflow history."""

    def __init__(self, engine: AsyncEngine, gateway: PaymentGateway, plans: Mapping[PaymentPlan, Plan]) -> None:
        self._engine = engine
        self._gateway = gateway
        self._customers = StudentCustomers(engine, gateway)
        self._plans = plans

    @activity.defn
    async def secure_payment(self, request: SecurePayment) -> Checkout:
        """Create the Checkout Session on which the student pays. Raises `Declined` if Stripe rejects it.

        Its URL goes to the booking's row here: a record's activity would get it through the workflow's history.
        """
        student_id = request.terms.student_id
        customer_id = await self._customers.ensure(student_id, retrying=_is_retry())
        try:
            page = await self._open_checkout(request, customer_id)
        except Declined as refused:
            if not refused.is_missing_customer:
                # Its account may be the reason, and no event tells that one was deleted.
                terms = request.terms
                await check_account(self._engine, self._gateway, terms.instructor_id, terms.stripe_account_id)
                raise
            customer_id = await self._customers.replace(student_id, customer_id, retrying=_is_retry())
            page = await self._open_checkout(request, customer_id)
        if request.renewal:
            await renewals.record_page(self._engine, request.terms.booking_id, request.renewal, page)
        else:
            await self._store_url(request.terms.booking_id, page.url)
        return page.checkout

    @activity.defn
    async def look_up_payment(self, ref: PaymentRef) -> PaymentState:
        """The payment's current state at Stripe."""
        return await self._plans[ref.plan].look_up(ref, await self._find_customer(ref))

    @activity.defn
    async def settle_payment(self, request: SettlePayment) -> PaymentState:
        """Capture what is kept. Raises `Declined` if the hold is gone."""
        if await self._is_settled(request.ref):
            return await self.look_up_payment(request.ref)
        return await self._plans[request.ref.plan].settle(request, retrying=_is_retry())

    @activity.defn
    async def release_payment(self, ref: PaymentRef) -> PaymentState:
        """Return everything to the student. Succeeds if there is nothing to return."""
        if await self._is_settled(ref):
            return await self.look_up_payment(ref)
        return await self._plans[ref.plan].release(ref, await self._find_customer(ref))

    async def _is_settled(self, ref: PaymentRef) -> bool:
        """A recorded ending has settled the money, so nothing may move it: a workflow that was reset may try.

        Raises `Declined` if the step has failed in this round: then the booking is parked, and its operator decides.
        """
        async with transaction(self._engine) as session:
            payment = await session.get(Payment, ref.booking_id)
            if payment is not None and payment.status not in (PaymentStatus.PENDING, PaymentStatus.FAILED):
                booking = await session.get(BookingRequest, ref.booking_id)
                # A charge can be disputed before its booking has ended.
                is_open = booking is not None and booking.status in HOLDS_SLOT
                if not (is_open and payment.status is PaymentStatus.DISPUTED):
                    return True
            rounds = await audit.next_rounds(session, [ref.booking_id])
        if ref.operator_round < rounds.get(ref.booking_id, 0):
            raise Declined("waits_for_an_operator")
        return False

    async def _open_checkout(self, request: SecurePayment, customer_id: str) -> CheckoutPage:
        terms = request.terms
        renewal = request.renewal
        amount = renewal.amount if renewal else terms.price
        divided = split(amount, terms.policy)
        # A bank debit may take two weeks to confirm a payment, which must be secured before the session.
        has_time = renewal is None and terms.starts_at - request.expires_at > DELAYED_CONFIRMATION
        checkout_request = CheckoutRequest(
            terms=terms,
            amount=amount,
            split=divided,
            text=await load_text(self._engine, terms, divided),
            customer_id=customer_id,
            expires_at=request.expires_at,
            excluded_methods=() if has_time else DELAYED,
            renewal_page=renewal.page if renewal else 0,
        )
        return await self._plans[terms.plan].secure(checkout_request, retrying=_is_retry())

    async def _store_url(self, booking_id: UUID, url: str | None) -> None:
        """Does nothing once the checkout is recorded, since a reset workflow repeats earlier steps."""
        is_opening = (col(BookingRequest.id) == booking_id, col(BookingRequest.checkout_session_id).is_(None))
        async with transaction(self._engine) as session:
            await session.exec(update(BookingRequest).where(*is_opening).values(checkout_url=url))

    async def _find_customer(self, ref: PaymentRef) -> str | None:
        """Needed only if the Checkout Session's id is unknown: it may have been created, and the answer lost."""
        if ref.checkout_session_id is not None:
            return None
        return (await load_contact(self._engine, ref.student_id)).customer_id
