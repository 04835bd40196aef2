"""All ports to Stripe: what the activities need from it, in Stripe's terms and this project's values.

The adapters in `activities.stripe` implement them; tests put others in their place. Every method raises only
`models.domain.errors.PaymentError`s. Every mutating one takes the idempotency key of its step. Amounts are in minor
units, and ids are Stripe's unless they are UUIDs.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol, Self
from uuid import UUID

from pydantic import Field

from models.domain.base import Value
from models.domain.conversions import Conversion
from models.domain.disputes import DisputeState, ReverseDisputedTransfer
from models.domain.fraud_warnings import FraudWarning
from models.domain.money import Money
from models.domain.onboarding import AccountState, OnboardingLink
from models.domain.payments import Checkout, PaymentRef, PaymentState
from models.domain.payouts import PayoutOrder, PayoutState
from models.domain.policy import Split
from models.domain.refunds import ExternalRefund, RefundAtStripe, RefundSnapshot
from models.domain.stripe_events import StripeEvent
from models.domain.terms import BookingTerms


class CheckoutText(Value):
    """In the student's language. `repr` leaves the names out."""

    language: str
    """Its code, for the pages to which Checkout returns."""
    product: str = Field(repr=False)
    description: str = Field(repr=False)
    disclosure: str
    """Beside the pay button: the fee, when the card is charged, and the terms of cancelling and not attending."""


class CheckoutRequest(Value):
    """The parameters of a Checkout Session. The student reads price, fee and cancellation terms before paying."""

    terms: BookingTerms
    amount: Money
    split: Split
    text: CheckoutText
    customer_id: str
    expires_at: datetime
    excluded_methods: tuple[str, ...] = ()
    """Payment methods that the plan cannot use for this booking."""
    renewal_page: int = 0
    """Which page of a renewal this is; 0 for the booking's first payment."""


class ShareTransfer(Value):
    """A transfer of an instructor's share. Amounts are in the transfer's currency: that of the charge's settlement."""

    transfer_id: str
    amount: Money
    reversed_minor: int

    @property
    def left_minor(self) -> int:
        return self.amount.amount_minor - self.reversed_minor


class CheckoutPage(Value):
    """A Checkout Session with its URL, `None` once it is closed. The URL must not enter a workflow history."""

    checkout: Checkout
    url: str | None


class AccountGateway(Protocol):
    """Connected accounts of instructors."""

    async def create_account(self, instructor_id: UUID, email: str, *, key: str) -> str:
        """Create a connected account that requests the transfers capability. Returns its id."""

    async def open_onboarding_link(self, account_id: str, *, key: str) -> OnboardingLink:
        """Create a link to the form on which Stripe collects the account's requirements."""

    async def look_up_account(self, account_id: str) -> AccountState:
        """The account's transfers capability and the requirements that are due."""


class PaymentGateway(AccountGateway, Protocol):
    """Payments of students: the customer, the Checkout Session and its PaymentIntent."""

    async def create_customer(self, student_id: UUID, email: str, name: str, *, key: str) -> str:
        """Create a customer. Returns its id."""

    async def find_customer(self, student_id: UUID, email: str) -> str | None:
        """The id of the student's customer, or `None`."""

    async def open_checkout(self, request: CheckoutRequest, *, key: str) -> CheckoutPage:
        """Create a Checkout Session for the plan in the request's terms.

        `HOLD`: a destination charge with manual capture. `CHARGE_THEN_TRANSFER`: a charge of the platform's.
        """

    async def find_checkout(self, customer_id: str, booking_id: UUID, renewal_page: int) -> CheckoutPage | None:
        """The booking's Checkout Session, or `None`. Used when its id was lost."""

    async def look_up(self, checkout_session_id: str) -> PaymentState:
        """The current state of a Checkout Session's payment."""

    async def expire_checkout(self, checkout_session_id: str, *, key: str) -> None:
        """Expire an unpaid Checkout Session. Raises `Declined` if it is not open."""

    async def cancel(self, payment_intent_id: str, *, key: str) -> None:
        """Cancel a PaymentIntent, which releases its hold. Raises `Declined` if it cannot be canceled."""

    async def capture(self, payment_intent_id: str, split: Split, *, key: str) -> PaymentState:
        """Capture `split.kept` with `split.platform_fee` as application fee. Stripe releases the rest of the hold."""

    async def refund(self, payment_intent_id: str, booking_id: UUID, *, amount: Money | None = None, key: str) -> None:
        """Refund `amount` without the fee, or all that is left with it, and reverse its part of the transfer."""

    async def return_fee(self, payment_intent_id: str, amount: Money, *, key: str) -> None:
        """Return a part of the application fee to the connected account."""

    async def reverse_share(self, payment_intent_id: str, amount: Money, *, key: str) -> None:
        """Reverse a part of the transfer, without a refund."""

    async def transfers_of(self, charge_id: str, booking_id: UUID) -> list[ShareTransfer]:
        """The transfers of a charge of the platform's."""

    async def transfer(self, charge_id: str, account_id: str, booking_id: UUID, amount: Money, *, key: str) -> None:
        """Transfer a part of a charge of the platform's to a connected account, available with the charge's funds.

        The amount is in the currency in which the charge was settled: Stripe refuses any other.
        """

    async def reverse_transfer(self, transfer_id: str, amount: Money, *, key: str) -> None:
        """Reverse a part of a transfer."""

    async def refund_charge(
        self, payment_intent_id: str, booking_id: UUID, amount: Money | None, *, is_fraudulent: bool, key: str
    ) -> None:
        """Refund `amount` of a charge of the platform's, or all that is left. No transfer is reversed."""


class PayoutGateway(Protocol):
    """Payouts from connected accounts to instructors' banks."""

    async def look_up_payout(self, order: PayoutOrder) -> PayoutState:
        """The payout's current state, and the charges that it pays out."""


class ChargeBalances(Value):
    """One charge at Stripe: the amount on hold, and what the charge has left on each of the two balances."""

    held: Money
    """Authorized and not captured."""
    platform: Money
    """On the platform's balance: after Stripe's fees, the transfer, refunds and disputes."""
    connected: Money
    """On the instructor's balance, payouts aside: the transfer less the platform's fee and any reversals."""
    fee: Money | None
    """Stripe's fee for the charge; `None` until it has a balance transaction."""
    in_other_currencies: tuple[Money, ...] = ()
    """What Stripe's fees have taken from the platform's balance in other currencies than the charge's: a charge that
    Stripe converts has its fees in the currency in which the platform settles."""
    conversion: Conversion | None = None
    """How Stripe has converted the charge, if its share was transferred in the currency of the settlement."""
    settled_share_minor: int | None = None
    """What was transferred in that currency, less reversals. `platform` and `connected` have it converted back."""

    def as_booked(self, share_minor: int) -> Self:
        """With the share of the ledger, if that is converted to what was transferred: it may be a unit off."""
        share = Money(amount_minor=share_minor, currency=self.connected.currency)
        if not self.conversion or self.conversion.of(share).amount_minor != self.settled_share_minor:
            return self
        platform = self.platform + self.connected - share
        return self.model_copy(update={"platform": platform, "connected": share})


class BalanceTransaction(Value):
    """A balance transaction of the platform."""

    charge_id: str | None
    """The student's charge that it belongs to, if any."""
    created_at: datetime
    """By Stripe's clock."""


class EventSeen(Value):
    """An event from Stripe's list of events."""

    event: StripeEvent
    created_at: datetime
    """By Stripe's clock."""


class BalanceGateway(Protocol):
    """Stripe's events and balances, for the reconciliation. Read only."""

    def events(self, account_id: str | None, since: datetime) -> AsyncIterator[EventSeen]:
        """Events of the types handled here: the connected account's and those about it, or the platform's if `None`."""

    def balance_transactions(self, since: datetime) -> AsyncIterator[BalanceTransaction]:
        """The platform's balance transactions, in no particular order."""

    async def of_charge(self, charge_id: str, currency: str) -> ChargeBalances:
        """Where the charge's money is now."""

    async def balance_of(self, account_id: str) -> dict[str, int]:
        """A connected account's balance in minor units by currency: available and pending together."""

    async def settled_on_platform(self, charge_id: str) -> Money:
        """What the charge has left on the platform's balance, in the currency in which the platform settles it.

        Stripe's fees are not deducted.
        """

    async def settled_on_account(self, charge_id: str, account_id: str) -> Money | None:
        """What the charge has brought to the connected account, payouts aside, in the currency that it settles in.

        `None` for an account that is deleted or no longer connected.
        """

    async def transferred_without_charge(self, account_id: str) -> dict[str, int]:
        """What the platform has transferred to a connected account from its own balance, less reversals, by currency.

        A booking's transfer has its charge as its source: it is not included.
        """


class RefundGateway(Protocol):
    """Refunds after a booking's end, and the warnings that may lead to one."""

    async def find_refund(self, snapshot: RefundSnapshot) -> RefundAtStripe | None:
        """The refund, found by its metadata: one that has not failed, else the one that the current try created."""

    async def create_refund(self, snapshot: RefundSnapshot, *, key: str) -> RefundAtStripe:
        """Refund the amount. The first try also reverses the transfer, unless the platform bears the refund."""

    async def reverse_refunded_share(self, snapshot: RefundSnapshot, *, key: str) -> int:
        """Reverse the refund's share of a separate transfer. Returns the amount that was reversed, in minor units."""

    async def look_up_refund(self, stripe_refund_id: str) -> RefundAtStripe:
        """The refund's current state."""

    async def look_up_fraud_warning(self, warning_id: str) -> FraudWarning:
        """An early fraud warning's current state."""

    async def look_up_external_refund(self, stripe_refund_id: str) -> ExternalRefund:
        """The current state, amount and PaymentIntent of a refund that was not created here."""


class DisputeGateway(Protocol):
    """Disputes of students' charges."""

    async def look_up_dispute(self, dispute_id: str) -> DisputeState:
        """The dispute's current state."""

    async def submit_evidence(self, dispute_id: str, evidence: dict[str, str], *, key: str) -> None:
        """Submit evidence to the bank, by Stripe's field names. It can be submitted only once."""

    async def accept_dispute(self, dispute_id: str, *, key: str) -> None:
        """Close the dispute, which accepts it as lost."""

    async def reverse_disputed_transfer(self, wanted: ReverseDisputedTransfer, *, key: str) -> Money:
        """Reverse the instructor's share of the charge's transfer. Returns the amount that was reversed."""


class CheckoutSeen(Value):
    """A Checkout Session of a booking, as Stripe lists it."""

    booking_id: UUID
    ref: PaymentRef


class ContactAtStripe(Value):
    """A person's name and address. `repr` leaves them out."""

    email: str = Field(repr=False)
    name: str = Field(repr=False)


class RestoreGateway(Protocol):
    """What Stripe knows of records that are newer than a backup."""

    async def student(self, customer_id: str) -> ContactAtStripe | None:
        """The student of a customer; `None` for one that was deleted."""

    async def instructor(self, account_id: str) -> ContactAtStripe | None:
        """The instructor of a connected account; `None` if Accounts v2 does not know it."""

    async def offering_title(self, checkout_session_id: str) -> str | None:
        """What the student reads on Checkout that they pay for."""

    def checkouts(self, since: datetime) -> AsyncIterator[CheckoutSeen]:
        """The Checkout Sessions of bookings that were created since then."""
