"""What Stripe knows of bookings and people that are newer than a backup of Postgres."""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

import stripe

from activities.gateways import CheckoutSeen, ContactAtStripe
from activities.stripe.errors import translated_errors
from models.domain.payments import PaymentRef
from models.domain.policy import PaymentPlan
from models.domain.stripe_events import BOOKING_METADATA

_PAGE_SIZE = 100
_UNNAMED = "Instructor"
"""Holdfast tells Stripe the instructor's address, and Stripe asks them for the name."""


class StripeRestore:
    """Implements `RestoreGateway`."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    async def student(self, customer_id: str) -> ContactAtStripe | None:
        async with translated_errors():
            customer = await self._client.v1.customers.retrieve_async(customer_id)
        if getattr(customer, "deleted", False) or not customer.email:
            return None
        return ContactAtStripe(email=customer.email, name=customer.name or customer.email)

    async def instructor(self, account_id: str) -> ContactAtStripe | None:
        try:
            async with translated_errors():
                account = await self._client.v2.core.accounts.retrieve_async(account_id)
        except (stripe.PermissionError, stripe.InvalidRequestError):
            return None
        if not account.contact_email:
            return None
        return ContactAtStripe(email=account.contact_email, name=account.display_name or _UNNAMED)

    async def offering_title(self, checkout_session_id: str) -> str | None:
        async with translated_errors():
            session = await self._client.v1.checkout.sessions.retrieve_async(
                checkout_session_id, {"expand": ["line_items"]}
            )
        items = session.line_items.data if session.line_items else []
        return items[0].description if items else None

    async def checkouts(self, since: datetime) -> AsyncIterator[CheckoutSeen]:
        async with translated_errors():
            page = await self._client.v1.checkout.sessions.list_async(
                {"created": {"gte": int(since.timestamp())}, "limit": _PAGE_SIZE, "expand": ["data.payment_intent"]}
            )
            async for session in page.auto_paging_iter():
                if seen := _checkout_seen(session):
                    yield seen


def _checkout_seen(session: stripe.checkout.Session) -> CheckoutSeen | None:
    """`None` for a session of another program. Its plan shows in how it is captured, once somebody has paid."""
    metadata = session.metadata.to_dict() if session.metadata else {}
    try:
        booking_id = UUID(metadata.get(BOOKING_METADATA, ""))
    except ValueError:
        return None
    payment = session.payment_intent
    is_charge = isinstance(payment, stripe.PaymentIntent) and payment.capture_method != "manual"
    ref = PaymentRef(
        booking_id=booking_id,
        plan=PaymentPlan.CHARGE_THEN_TRANSFER if is_charge else PaymentPlan.HOLD,
        # Needed only where the session's id is not known.
        student_id=booking_id,
        checkout_session_id=session.id,
    )
    return CheckoutSeen(booking_id=booking_id, ref=ref)
