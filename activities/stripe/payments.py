"""Customers, Checkout and PaymentIntents at Stripe.

Sources: Stripe API reference (Checkout Sessions, PaymentIntents, Refunds), "Place a hold on a payment method",
"Create destination charges", "Create separate charges and transfers".
"""

from datetime import UTC, datetime
from uuid import UUID

import stripe
from stripe.params.checkout import SessionCreateParams, SessionCreateParamsPaymentIntentData

from activities.gateways import CheckoutPage, CheckoutRequest
from activities.stripe.balances import conversion_of
from activities.stripe.errors import translated_errors
from activities.stripe.transfers import StripeTransfers
from models.domain.errors import Declined, Retryable
from models.domain.money import Money
from models.domain.payment_methods import HOLD_DURATIONS
from models.domain.payments import Checkout, HoldPhase, PaymentState
from models.domain.policy import PaymentPlan, Split
from models.domain.stripe_events import BOOKING_METADATA

_EXPAND_CHARGE = [f"latest_charge.{path}" for path in ("balance_transaction", "application_fee", "transfer")]
_RENEWAL_PAGE = "renewalPage"
_OPEN_DISPUTE = ("needs_response", "under_review")
"""Of a dispute that has withdrawn the money: an inquiry's statuses begin with `warning_`."""
_EXPAND_SESSION = [f"payment_intent.{path}" for path in _EXPAND_CHARGE]


class StripeGateway(StripeTransfers):
    """Implements `PaymentGateway`. Checkout redirects back to `public_url`."""

    async def create_customer(self, student_id: UUID, email: str, name: str, *, key: str) -> str:
        async with translated_errors():
            customer = await self._client.v1.customers.create_async(
                {"email": email, "name": name, "metadata": {"student_id": str(student_id)}},
                {"idempotency_key": key},
            )
        return customer.id

    async def find_customer(self, student_id: UUID, email: str) -> str | None:
        async with translated_errors():
            customers = await self._client.v1.customers.list_async({"email": email, "limit": 100})
            async for customer in customers.auto_paging_iter():
                if customer.metadata and customer.metadata.to_dict().get("student_id") == str(student_id):
                    return customer.id
        return None

    async def open_checkout(self, request: CheckoutRequest, *, key: str) -> CheckoutPage:
        async with translated_errors():
            session = await self._client.v1.checkout.sessions.create_async(
                self._checkout_params(request), {"idempotency_key": key}
            )
        return _checkout_page(session, request.customer_id)

    async def find_checkout(self, customer_id: str, booking_id: UUID, renewal_page: int) -> CheckoutPage | None:
        async with translated_errors():
            sessions = await self._client.v1.checkout.sessions.list_async({"customer": customer_id, "limit": 100})
            async for session in sessions.auto_paging_iter():
                is_of_booking = session.client_reference_id == str(booking_id)
                metadata = session.metadata.to_dict() if session.metadata else {}
                if is_of_booking and metadata.get(_RENEWAL_PAGE, "0") == str(renewal_page):
                    return _checkout_page(session, customer_id)
        return None

    async def look_up(self, checkout_session_id: str) -> PaymentState:
        async with translated_errors():
            session = await self._client.v1.checkout.sessions.retrieve_async(
                checkout_session_id, {"expand": _EXPAND_SESSION}
            )
        payment = session.payment_intent
        if isinstance(payment, stripe.PaymentIntent):
            return await self._with_disputes(await self._with_refunds(_payment_state(payment, session)))
        phase = HoldPhase.OPEN if session.status == "open" else HoldPhase.CLOSED
        return PaymentState(phase=phase, checkout_session_id=session.id)

    async def expire_checkout(self, checkout_session_id: str, *, key: str) -> None:
        async with translated_errors():
            await self._client.v1.checkout.sessions.expire_async(checkout_session_id, options={"idempotency_key": key})

    async def cancel(self, payment_intent_id: str, *, key: str) -> None:
        async with translated_errors():
            await self._client.v1.payment_intents.cancel_async(
                payment_intent_id, {"cancellation_reason": "requested_by_customer"}, {"idempotency_key": key}
            )

    async def capture(self, payment_intent_id: str, split: Split, *, key: str) -> PaymentState:
        """The fee is sent again: Stripe caps it at the captured amount, and does not prorate it."""
        params: stripe.params.PaymentIntentCaptureParams = {
            "amount_to_capture": split.kept.amount_minor,
            "expand": _EXPAND_CHARGE,
            # Also if it is zero: left out, the fee from the Checkout Session would stay.
            "application_fee_amount": split.platform_fee.amount_minor,
        }
        async with translated_errors():
            payment = await self._client.v1.payment_intents.capture_async(
                payment_intent_id, params, {"idempotency_key": key}
            )
        return _payment_state(payment)

    async def _with_refunds(self, payment: PaymentState) -> PaymentState:
        if not payment.refunded_minor:
            return payment
        async with translated_errors():
            refunds = await self._client.v1.refunds.list_async(
                {"payment_intent": payment.payment_intent_id or "", "limit": 100}
            )
            made = [each async for each in refunds.auto_paging_iter() if each.status not in ("failed", "canceled")]
        if sum(each.amount for each in made) != payment.refunded_minor:
            raise Retryable("the payment was refunded while it was read")
        return payment.model_copy(update={"refund_ids": tuple(sorted(each.id for each in made))})

    async def _with_disputes(self, payment: PaymentState) -> PaymentState:
        if not payment.is_disputed:
            return payment
        async with translated_errors():
            found = await self._client.v1.disputes.list_async({"charge": payment.charge_id or "", "limit": 100})
            disputes = [each async for each in found.auto_paging_iter()]
        return payment.model_copy(
            update={
                "is_disputed": any(each.status in _OPEN_DISPUTE for each in disputes),
                "lost_minor": sum(each.amount for each in disputes if each.status == "lost"),
            }
        )

    async def refund(self, payment_intent_id: str, booking_id: UUID, *, amount: Money | None = None, key: str) -> None:
        """`reverse_transfer` takes the share back from the instructor. Without it, the platform bears all of it.

        The fee's part of an `amount` is returned by itself, as Stripe would round it. Stripe accepts
        `refund_application_fee` for a charge without a fee.
        """
        params: stripe.params.RefundCreateParams = {
            "payment_intent": payment_intent_id,
            "reverse_transfer": True,
            "reason": "requested_by_customer",
            "metadata": {BOOKING_METADATA: str(booking_id)},
        }
        if amount is None:
            params["refund_application_fee"] = True
        else:
            params["amount"] = amount.amount_minor
        async with translated_errors():
            await self._client.v1.refunds.create_async(params, {"idempotency_key": key})

    async def return_fee(self, payment_intent_id: str, amount: Money, *, key: str) -> None:
        async with translated_errors():
            charge = await self._charge_of(payment_intent_id)
            await self._client.v1.application_fees.refunds.create_async(
                str(charge.application_fee), {"amount": amount.amount_minor}, {"idempotency_key": key}
            )

    async def reverse_share(self, payment_intent_id: str, amount: Money, *, key: str) -> None:
        async with translated_errors():
            charge = await self._charge_of(payment_intent_id)
            await self._client.v1.transfers.reversals.create_async(
                str(charge.transfer), {"amount": amount.amount_minor}, {"idempotency_key": key}
            )

    async def _charge_of(self, payment_intent_id: str) -> stripe.Charge:
        payment = await self._client.v1.payment_intents.retrieve_async(payment_intent_id, {"expand": ["latest_charge"]})
        if not isinstance(payment.latest_charge, stripe.Charge):
            raise Declined("no_payment_to_capture")
        return payment.latest_charge

    def _checkout_params(self, request: CheckoutRequest) -> SessionCreateParams:
        terms, text = request.terms, request.text
        metadata = {BOOKING_METADATA: str(terms.booking_id), "sessionType": "LIVE_SESSION"}
        if request.renewal_page:
            metadata[_RENEWAL_PAGE] = str(request.renewal_page)
        params: SessionCreateParams = {
            "mode": "payment",
            "customer": request.customer_id,
            "client_reference_id": str(terms.booking_id),
            "metadata": metadata,
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": request.amount.currency,
                        "unit_amount": request.amount.amount_minor,
                        "product_data": {"name": text.product, "description": text.description},
                    },
                }
            ],
            "custom_text": {"submit": {"message": text.disclosure}},
            "expires_at": int(request.expires_at.timestamp()),
            "success_url": f"{self._public_url}/checkout/return?language={text.language}"
            "&session_id={CHECKOUT_SESSION_ID}",
            "cancel_url": f"{self._public_url}/checkout/cancelled?language={text.language}",
        }
        if terms.plan is PaymentPlan.HOLD:
            return params | _hold_params(request, metadata)
        return params | _charge_params(request, metadata)


def _hold_params(request: CheckoutRequest, metadata: dict[str, str]) -> SessionCreateParams:
    intent: SessionCreateParamsPaymentIntentData = {
        "capture_method": "manual",
        "metadata": metadata,
        "transfer_data": {"destination": request.terms.stripe_account_id},
    }
    if request.split.platform_fee:
        intent["application_fee_amount"] = request.split.platform_fee.amount_minor
    return {
        # Those that can be held. A longer hold is a bonus: the charge's `capture_before` says whether there is one.
        "allowed_payment_method_types": [*HOLD_DURATIONS],
        "payment_method_options": {"card": {"request_extended_authorization": "if_available"}},
        "payment_intent_data": intent,
    }


def _charge_params(request: CheckoutRequest, metadata: dict[str, str]) -> SessionCreateParams:
    """Without a list of methods, Checkout offers all that the platform has turned on."""
    params: SessionCreateParams = {
        "payment_intent_data": {"metadata": metadata, "transfer_group": str(request.terms.booking_id)}
    }
    if request.excluded_methods:
        params["excluded_payment_method_types"] = [*request.excluded_methods]
    return params


def _checkout_page(session: stripe.checkout.Session, customer_id: str) -> CheckoutPage:
    checkout = Checkout(
        checkout_session_id=session.id,
        customer_id=customer_id,
        expires_at=datetime.fromtimestamp(session.expires_at, UTC),
    )
    return CheckoutPage(checkout=checkout, url=session.url)


def _payment_state(payment: stripe.PaymentIntent, session: stripe.checkout.Session | None = None) -> PaymentState:
    """A charge keeps its `capture_before` once it is captured: only the intent's status says that there is a hold."""
    charge = payment.latest_charge if isinstance(payment.latest_charge, stripe.Charge) else None
    fee, transfer = getattr(charge, "application_fee", None), getattr(charge, "transfer", None)
    taken = fee if isinstance(fee, stripe.ApplicationFee) else None
    return PaymentState(
        phase=_phase(payment, session),
        checkout_session_id=session.id if session else None,
        payment_intent_id=payment.id,
        charge_id=charge.id if charge else None,
        hold_ends_at=_hold_ends_at(charge) if charge and payment.status == "requires_capture" else None,
        captured_minor=payment.amount_received,
        refunded_minor=charge.amount_refunded if charge else 0,
        # The fee that was taken, which is capped at the captured amount; before the capture, the intended one.
        platform_fee_minor=taken.amount if taken else payment.application_fee_amount or 0,
        fee_returned_minor=taken.amount_refunded if taken else 0,
        reversed_minor=transfer.amount_reversed if isinstance(transfer, stripe.Transfer) else 0,
        conversion=conversion_of(charge) if charge and not payment.transfer_data else None,
        is_disputed=bool(charge and charge.disputed),
        stripe_fee=_stripe_fee(charge),
        decline_code=_decline_code(payment.last_payment_error),
        advice_code=getattr(payment.last_payment_error, "advice_code", None),
    )


def _hold_ends_at(charge: stripe.Charge) -> datetime | None:
    """A card's charge says so; of other methods, only how long a hold lasts is known."""
    details = charge.payment_method_details
    card = getattr(details, "card", None)
    if capture_before := getattr(card, "capture_before", None):
        return datetime.fromtimestamp(capture_before, UTC)
    lasts = HOLD_DURATIONS.get(details.type) if details else None
    return datetime.fromtimestamp(charge.created, UTC) + lasts if lasts else None


def _stripe_fee(charge: stripe.Charge | None) -> Money | None:
    """A hold has no balance transaction; a captured charge may get one only later."""
    booked = getattr(charge, "balance_transaction", None)
    if not isinstance(booked, stripe.BalanceTransaction):
        return None
    return Money(amount_minor=booked.fee, currency=booked.currency)


def _decline_code(error: stripe.PaymentIntent.LastPaymentError | None) -> str | None:
    """The card network's decline code, else Stripe's error code. Stripe omits fields that do not apply."""
    return getattr(error, "decline_code", None) or getattr(error, "code", None)


def _phase(payment: stripe.PaymentIntent, session: stripe.checkout.Session | None) -> HoldPhase:
    match payment.status:
        case "requires_capture":
            return HoldPhase.HELD
        case "succeeded":
            return HoldPhase.CAPTURED
        case "processing":
            return HoldPhase.PROCESSING
        case "canceled":
            return HoldPhase.GONE if payment.latest_charge and not payment.last_payment_error else HoldPhase.CLOSED
    match session.status if session else None:
        case "expired":
            return HoldPhase.CLOSED
        case "complete":
            # A bank debit that failed, or waits until the student verifies the bank account.
            return HoldPhase.CLOSED if payment.status == "requires_payment_method" else HoldPhase.PROCESSING
    return HoldPhase.OPEN
