"""The port to a payment provider: what the payment plans ask of it, in Stripe's words and our values.

Every method raises only `models.domain.errors.PaymentError`s. Every mutating one takes the idempotency key of its step.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol
from uuid import UUID

from models.domain.base import Value
from models.domain.disputes import DisputeState, ReverseDisputedTransfer
from models.domain.messages import Checkout, PaymentState
from models.domain.money import Money
from models.domain.onboarding import AccountState, OnboardingLink
from models.domain.payouts import PayoutOrder, PayoutState
from models.domain.policy import Split
from models.domain.refunds import ExternalRefund, RefundAtStripe, RefundSnapshot
from models.domain.stripe_events import StripeEvent
from models.domain.terms import BookingTerms


class CheckoutRequest(Value):
    """A Checkout Session to make. `customer_id` is Stripe's; texts are what the student reads before paying."""

    terms: BookingTerms
    split: Split
    customer_id: str
    expires_at: datetime


class AccountGateway(Protocol):
    """Instructors' connected accounts."""

    async def create_account(self, instructor_id: UUID, email: str, *, key: str) -> str:
        """Make a connected account that asks to receive transfers, and return its id."""

    async def open_onboarding_link(self, account_id: str, *, key: str) -> OnboardingLink:
        """A link to the page on which Stripe asks what it needs."""

    async def look_up_account(self, account_id: str) -> AccountState:
        """Whether the account can receive transfers now, and what is missing."""


class PaymentGateway(AccountGateway, Protocol):
    async def create_customer(self, student_id: UUID, email: str, name: str, *, key: str) -> str:
        """Make a customer and return its id."""

    async def find_customer(self, student_id: UUID, email: str) -> str | None:
        """The id of the student's customer, if there is one."""

    async def open_checkout(self, request: CheckoutRequest, *, key: str) -> Checkout:
        """Make a Checkout Session that places a hold: manual capture, application fee, destination."""

    async def find_checkout(self, customer_id: str, booking_id: UUID) -> Checkout | None:
        """The booking's Checkout Session, if there is one, known only by who pays and for what."""

    async def look_up(self, checkout_session_id: str) -> PaymentState:
        """Where the payment of a Checkout Session stands now."""

    async def expire_checkout(self, checkout_session_id: str, *, key: str) -> None:
        """Close a Checkout Session that nobody has paid; `Declined` when it is not open."""

    async def cancel(self, payment_intent_id: str, *, key: str) -> None:
        """Let a hold go; `Declined` when there is none."""

    async def capture(self, payment_intent_id: str, split: Split, *, key: str) -> PaymentState:
        """Take `split.kept` of a hold, with `split.platform_fee` as the fee, and let the rest go."""

    async def refund(self, payment_intent_id: str, booking_id: UUID, *, with_fee: bool, key: str) -> None:
        """Give all that was captured back, out of the instructor's share and, `with_fee`, of the platform's fee."""


class PayoutGateway(Protocol):
    """Instructors' balances on their way to their banks."""

    async def look_up_payout(self, order: PayoutOrder) -> PayoutState:
        """The payout as it is now, and the charges that it pays out."""


class ChargeBalances(Value):
    """One charge as Stripe has it: what is held, and what is left of it on the two balances."""

    held: Money
    """Authorized and not captured."""
    platform: Money
    """On the platform's balance: after Stripe's fees, the transfer, refunds and disputes."""
    connected: Money
    """On the instructor's, payouts apart: the transfer without the platform's fee, less what was taken back."""
    fee: Money | None
    """Stripe's for the charge itself; `None` while it is not booked."""


class BalanceTransaction(Value):
    """A balance transaction of the platform."""

    charge_id: str | None
    """The student's charge that it goes back to; `None` for what goes back to none."""
    created_at: datetime
    """By Stripe's clock."""


class EventSeen(Value):
    event: StripeEvent
    created_at: datetime
    """By Stripe's clock."""


class BalanceGateway(Protocol):
    """Stripe's books, for the reconciliation. Nothing in it changes anything."""

    def events(self, account_id: str | None, since: datetime) -> AsyncIterator[EventSeen]:
        """The events of the types that are taken, of the platform or of a connected account, the newest first."""

    def balance_transactions(self, since: datetime) -> AsyncIterator[BalanceTransaction]:
        """The platform's balance transactions."""

    async def of_charge(self, charge_id: str, currency: str) -> ChargeBalances:
        """Where the money of a charge is now."""

    async def balance_of(self, account_id: str) -> dict[str, int]:
        """A connected account's balance in each currency, pending included."""


class RefundGateway(Protocol):
    """Every method raises only `PaymentError`s; the mutating one takes its step's idempotency key."""

    async def find_refund(self, case: RefundSnapshot) -> RefundAtStripe | None:
        """What has been made already and not failed since, or by the present try; found without its id."""

    async def create_refund(self, case: RefundSnapshot, *, key: str) -> RefundAtStripe:
        """Give the amount back. A first try takes the shares back, too, unless the platform bears them."""

    async def look_up_refund(self, stripe_refund_id: str) -> RefundAtStripe:
        """The refund as it is now."""

    async def look_up_external_refund(self, stripe_refund_id: str) -> ExternalRefund:
        """The same, with what else there is to know of one that was not made here."""


class DisputeGateway(Protocol):
    """Every method raises only `PaymentError`s; every mutating one takes its step's idempotency key."""

    async def look_up_dispute(self, dispute_id: str) -> DisputeState:
        """The dispute as it is now."""

    async def submit_evidence(self, dispute_id: str, evidence: dict[str, str], *, key: str) -> None:
        """Answer the bank; this can be done once."""

    async def accept_dispute(self, dispute_id: str, *, key: str) -> None:
        """Give in: the dispute is lost."""

    async def reverse_disputed_transfer(self, wanted: ReverseDisputedTransfer, *, key: str) -> Money:
        """Reverse the instructor's part of the charge's transfer; how much of it that was."""
