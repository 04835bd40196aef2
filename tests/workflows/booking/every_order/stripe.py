"""What Stripe has of one booking: its Checkout pages, and the payments made on them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from models.domain.errors import Declined
from models.domain.payments import (
    PAID_AGAIN,
    PAYMENT_PROCESSING,
    Checkout,
    HoldPhase,
    PaymentRef,
    PaymentState,
    SecurePayment,
)
from models.domain.policy import PaymentPlan


@dataclass
class Page:
    """A Checkout page at Stripe, and the payment that was made on it."""

    plan: PaymentPlan
    expires_at: datetime
    phase: HoldPhase = HoldPhase.OPEN
    hold_ends_at: datetime | None = None
    confirmed_at: datetime | None = None
    """When the student's bank confirms a payment that takes days."""
    decline_code: str | None = None
    kept_minor: int = 0
    captures: int = 0


@dataclass
class Stripe:
    pages: dict[str, Page] = field(default_factory=dict)

    def having(self, phase: HoldPhase) -> list[Page]:
        return [page for page in self.pages.values() if page.phase is phase]

    def moments(self) -> Iterator[datetime]:
        """When Stripe ends something by itself."""
        yield from (page.expires_at for page in self.having(HoldPhase.OPEN))
        yield from (page.hold_ends_at for page in self.having(HoldPhase.HELD) if page.hold_ends_at)
        yield from (page.confirmed_at for page in self.having(HoldPhase.PROCESSING) if page.confirmed_at)

    def pass_time(self, now: datetime) -> bool:
        """Whether there is news."""
        expired = [page for page in self.having(HoldPhase.OPEN) if page.expires_at <= now]
        lapsed = [page for page in self.having(HoldPhase.HELD) if page.hold_ends_at and page.hold_ends_at <= now]
        confirmed = [
            page for page in self.having(HoldPhase.PROCESSING) if page.confirmed_at and page.confirmed_at <= now
        ]
        for page in confirmed:
            page.phase = HoldPhase.HELD
        for page in expired:
            page.phase = HoldPhase.CLOSED
        for page in lapsed:
            page.phase = HoldPhase.GONE
        return bool(expired or lapsed or confirmed)

    def secure(self, request: SecurePayment) -> Checkout:
        id = f"cs_{request.renewal.page if request.renewal else 0}"
        self.pages.setdefault(id, Page(request.terms.plan, request.expires_at))
        return Checkout(checkout_session_id=id, customer_id="cus_1", expires_at=request.expires_at)

    def _find(self, ref: PaymentRef) -> Page | None:
        return self.pages.get(ref.checkout_session_id or "cs_0")

    def look_up(self, ref: PaymentRef) -> PaymentState:
        page, id = self._find(ref), ref.checkout_session_id or "cs_0"
        if page is None:
            return PaymentState(phase=HoldPhase.CLOSED)
        return PaymentState(
            phase=page.phase,
            checkout_session_id=id,
            payment_intent_id=f"pi_{id}" if page.phase not in (HoldPhase.OPEN, HoldPhase.CLOSED) else None,
            hold_ends_at=page.hold_ends_at if page.phase is HoldPhase.HELD else None,
            captured_minor=page.kept_minor,
            decline_code=page.decline_code if page.phase is HoldPhase.OPEN else None,
        )

    def settle(self, ref: PaymentRef, kept_minor: int) -> PaymentState:
        page = self._find(ref)
        assert page is not None
        if page.phase is HoldPhase.HELD:
            page.phase, page.kept_minor, page.captures = HoldPhase.CAPTURED, kept_minor, page.captures + 1
        elif page.phase is not HoldPhase.CAPTURED:
            raise Declined("charge_expired_for_capture")
        return self.look_up(ref)

    def release(self, ref: PaymentRef) -> PaymentState:
        page = self._find(ref)
        if page is not None and page.phase is HoldPhase.OPEN:
            page.phase = HoldPhase.CLOSED
        elif page is not None and page.phase is HoldPhase.PROCESSING:
            raise Declined(PAYMENT_PROCESSING)
        elif page is not None and page.phase is HoldPhase.HELD and ref.is_renewal:
            raise Declined(PAID_AGAIN)
        elif page is not None and page.phase is HoldPhase.HELD:
            page.phase = HoldPhase.GONE
        return self.look_up(ref)
