"""Payouts: the messages of their workflows, and why one failed. Ids and amounts only."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from models.domain.base import Value
from models.domain.money import Money
from models.domain.onboarding import ACCOUNT_GONE


class PayoutOrder(Value):
    payout_id: str
    """Stripe's id."""
    account_id: str
    """The connected account that is paid out."""


class PayoutEvent(Value):
    """A Stripe event about a payout. Only a reason to look: the current state is read from Stripe."""

    event_id: str
    type: str


class PayoutPhase(StrEnum):
    IN_TRANSIT = "under_way"
    ARRIVED = "arrived"
    """At the bank, which may still return it."""
    FAILED = "failed"
    CANCELED = "called_off"


class PayoutLine(Value):
    """What a payout contains of one charge: the share, less what was reversed. Negative for a clawback alone."""

    charge_id: str
    """The student's charge, on the platform's account."""
    amount: Money


class PayoutState(Value):
    """A payout as read from Stripe at one moment."""

    payout_id: str
    account_id: str
    amount: Money
    phase: PayoutPhase
    arrives_at: datetime
    failure_code: str | None = None
    lines: tuple[PayoutLine, ...] = ()
    """Including the lines of failed payouts whose money is in this one."""
    carried: tuple[str, ...] = ()
    """Ids of the failed payouts whose money is in this one."""
    is_itemized: bool = True
    """False until Stripe has reported what the payout contains."""
    adds_up: bool = True
    """False if what the payout contains is not its amount: nobody can say whose money it is."""

    @property
    def is_over(self) -> bool:
        return self.phase is not PayoutPhase.IN_TRANSIT

    @property
    def has_come_back(self) -> bool:
        return self.phase in (PayoutPhase.FAILED, PayoutPhase.CANCELED)


class RecordPayout(Value):
    state: PayoutState
    at: datetime


class RecordLostPayout(Value):
    order: PayoutOrder
    at: datetime


CANCELED = "canceled"
"""Used instead of a `failure_code` for a payout that was canceled before it was sent."""


class Failure(NamedTuple):
    """Why a payout failed and what the instructor can do, one sentence each."""

    why: str
    to_do: str


_OTHER_ACCOUNT = "Add another bank account at Stripe. The next payout goes there automatically."
_CORRECT = "Correct it at Stripe, or add another bank account. The next payout is sent automatically."
_ASK_BANK = "Ask your bank, or add another bank account at Stripe. The next payout is sent automatically."
_NOTHING = "You do not need to do anything. The next payout is sent automatically."

# Stripe, "Payout failures"; API reference, "Payouts", `failure_code`.
FAILURES = {
    "account_closed": Failure("The bank account has been closed.", _OTHER_ACCOUNT),
    "account_frozen": Failure("The bank account has been frozen.", _ASK_BANK),
    "bank_account_restricted": Failure("The bank account does not accept this kind of payment.", _ASK_BANK),
    "bank_ownership_changed": Failure("The bank changed ownership; the account is not valid.", _OTHER_ACCOUNT),
    "could_not_process": Failure("The bank could not process the payout.", _ASK_BANK),
    "debit_not_authorized": Failure("The bank account does not allow debits by Stripe.", _ASK_BANK),
    "declined": Failure("The bank declined the payout.", _ASK_BANK),
    "expired": Failure("The card for payouts has expired.", _OTHER_ACCOUNT),
    "incorrect_account_holder_address": Failure("The account holder's address does not match.", _CORRECT),
    "incorrect_account_holder_name": Failure("The account holder's name does not match.", _CORRECT),
    "incorrect_account_holder_tax_id": Failure("The account holder's tax ID does not match.", _CORRECT),
    "incorrect_account_type": Failure("The bank account type is incorrect.", _CORRECT),
    "insufficient_funds": Failure("The Stripe balance was too low.", _NOTHING),
    "invalid_account_number": Failure("The account number is not valid.", _CORRECT),
    "invalid_account_number_length": Failure("The account number is too long or too short.", _CORRECT),
    "invalid_card": Failure("The card for payouts is not valid.", _OTHER_ACCOUNT),
    "invalid_currency": Failure("The bank account does not accept this currency.", _OTHER_ACCOUNT),
    "no_account": Failure("There is no bank account with this number.", _CORRECT),
    "unsupported_card": Failure("The card cannot be used for payouts.", _OTHER_ACCOUNT),
    ACCOUNT_GONE: Failure(
        "The Stripe account was closed while the payout was on its way, so Stripe no longer says whether it arrived.",
        "Ask your bank whether it arrived.",
    ),
    CANCELED: Failure("The payout was cancelled before it was sent.", _NOTHING),
}
_UNKNOWN = Failure("The bank returned the payout.", _ASK_BANK)


def failure(code: str | None) -> Failure:
    """The explanation of a `failure_code`, with a fallback for codes that Stripe has added since."""
    return FAILURES.get(code or "", _UNKNOWN)
