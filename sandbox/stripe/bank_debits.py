"""Stripe's test bank accounts, which Checkout debits.

Sources: docs "ACH Direct Debit", "SEPA Direct Debit" and "Bacs Direct Debit", test account numbers.
"""

from sandbox.stripe.instruments import Decline, Instrument

_NO_FUNDS = Decline("insufficient_funds", None, "The customer's account has insufficient funds to cover this payment.")
_CLOSED = Decline("account_closed", None, "The customer's bank account has been closed.")
_NO_ACCOUNT = Decline("no_account", None, "The bank account could not be located.")
_NOT_AUTHORIZED = Decline(
    "debit_not_authorized", None, "The customer has notified their bank that this payment was unauthorized."
)
_FAILED = Decline("payment_intent_payment_attempt_failed", None, "The payment failed.")


def _account(
    type: str,
    number: str,
    description: str,
    decline: Decline | None = None,
    *,
    dispute_reason: str | None = None,
    stays_processing: bool = False,
) -> Instrument:
    return Instrument(
        number,
        "",
        None,
        description,
        type,
        decline,
        dispute_reason=dispute_reason,
        stays_processing=stays_processing,
    )


_ACCOUNTS = (
    _account("us_bank_account", "000123456789", "Succeeds"),
    _account("us_bank_account", "000222222227", "Fails: insufficient funds", _NO_FUNDS),
    _account("us_bank_account", "000111111113", "Fails: account closed", _CLOSED),
    _account("us_bank_account", "000111111116", "Fails: no account", _NO_ACCOUNT),
    _account("us_bank_account", "000333333335", "Fails: debit not authorized", _NOT_AUTHORIZED),
    _account("us_bank_account", "000555555559", "Succeeds, then disputed", dispute_reason="bank_cannot_process"),
    _account("us_bank_account", "000000000009", "Stays in processing", stays_processing=True),
    _account("sepa_debit", "AT611904300234573201", "Succeeds"),
    _account("sepa_debit", "AT861904300235473202", "Fails", _FAILED),
    _account("sepa_debit", "AT591904300235473203", "Succeeds, then disputed", dispute_reason="debit_not_authorized"),
    _account("bacs_debit", "00012345", "Succeeds"),
    _account("bacs_debit", "22222227", "Fails: insufficient funds", _NO_FUNDS),
    _account("bacs_debit", "33333335", "Fails: debit not authorized", _NOT_AUTHORIZED),
    _account("bacs_debit", "55555559", "Succeeds, then disputed", dispute_reason="debit_not_authorized"),
)

BY_NUMBER = {account.number: account for account in _ACCOUNTS}


def listed(type: str) -> tuple[Instrument, ...]:
    return tuple(account for account in _ACCOUNTS if account.type == type)
