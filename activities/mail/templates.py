"""Reasons and outcomes in the reader's language. Pure.

The words: a *hold* is placed and *released*; a student is *charged*; a charge is *refunded*; a *session* takes place,
and its *booking request* is confirmed, declined or expires.
"""

import re
from typing import NamedTuple

from models.domain.actors import Role
from models.domain.declines import advice
from models.domain.endings import EndReason
from models.domain.money import Money
from models.domain.notifications import Recipient
from models.languages import Language

_NOT_ON_ONE_LINE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def one_line(text: str) -> str:
    """A user's text without line breaks, control characters and bidirectional overrides: it cannot imitate ours."""
    return _NOT_ON_ONE_LINE.sub(" ", text).strip()


def unpaid_reason(language: Language, reason: EndReason, decline_code: str | None, advice_code: str | None) -> str:
    """Why a booking was deleted, and what helps. Raises `KeyError` for a reason that deletes no booking."""
    if reason is EndReason.CARD_DECLINED:
        declined, to_do = _decline_reason(language, decline_code), advice(advice_code)
        return f"{declined} {language.gettext(to_do)}" if to_do else declined
    say = language.gettext
    return {
        EndReason.CHECKOUT_EXPIRED: say("The payment was not completed in time."),
        EndReason.HOLD_TOO_SHORT: say("Your bank does not hold the payment until the session is over."),
        EndReason.CHECKOUT_REFUSED: say("The payment could not be started."),
    }[reason]


def _decline_reason(language: Language, decline_code: str | None) -> str:
    """Only what helps the card holder. Stripe says to hide other reasons ("Decline codes": fraudulent, lost)."""
    say = language.gettext
    return {
        "insufficient_funds": say("Your card was declined: insufficient funds."),
        "expired_card": say("Your card was declined: it has expired."),
        "incorrect_cvc": say("Your card was declined: the security code is incorrect."),
        "incorrect_number": say("Your card was declined: the card number is incorrect."),
        "card_not_supported": say("Your card was declined: it does not support this kind of purchase."),
        "currency_not_supported": say("Your card was declined: it does not support this currency."),
        "authentication_required": say("Your card was declined: your bank requires authentication."),
    }.get(decline_code or "", say("Your card was declined."))


def closing_reason(language: Language, reason: EndReason, by: Role, reader: Recipient) -> str:
    """Why a booking was closed, for student or instructor. Raises `KeyError` for a reason that closes no booking."""
    say, to_student = language.gettext, reader is Recipient.STUDENT
    absent = (
        say("The meeting's record shows that you did not attend.")
        if by is Role.PLATFORM
        else say("You were reported absent.")
    )
    return {
        EndReason.REJECTED: say("The instructor declined your booking request."),
        EndReason.APPROVAL_TIMEOUT: say("The instructor did not respond in time."),
        EndReason.CANCELLED: _cancelled_by(language, by, reader),
        EndReason.PAYMENT_NOT_RENEWED: say("You did not pay again in time, so the booking is cancelled.")
        if to_student
        else say("The student did not pay again in time, so the booking is cancelled."),
        EndReason.COMPLETED: _completed_by(language, by, reader),
        EndReason.STUDENT_ABSENT: absent if to_student else say("The student did not attend."),
        EndReason.INSTRUCTOR_ABSENT: say("The instructor did not attend.") if to_student else absent,
        EndReason.NO_SHOW_REFUTED: say(
            "A no-show was reported, but the meeting's record shows that the session took place."
        ),
        EndReason.COMPLETION_TIMEOUT: say("Nobody reported in time that the session took place."),
        EndReason.SETTLED_BY_OPERATOR: say("Our team decided that the session counts as completed."),
        EndReason.RELEASED_BY_OPERATOR: say("Our team cancelled the booking."),
        EndReason.REFUNDED_BY_OPERATOR: say("Our team decided how much of the price is charged."),
    }[reason]


def _completed_by(language: Language, by: Role, reader: Recipient) -> str:
    say, is_own = language.gettext, by == reader.value
    if by is Role.STUDENT:
        return (
            say("You confirmed that the session took place.")
            if is_own
            else say("The student confirmed that the session took place.")
        )
    if by is Role.INSTRUCTOR:
        return (
            say("You reported that the session took place.")
            if is_own
            else say("The instructor reported that the session took place.")
        )
    return say("The meeting's record shows that the session took place.")


def _cancelled_by(language: Language, by: Role, reader: Recipient) -> str:
    say = language.gettext
    if by == reader.value:
        return say("You cancelled the booking.")
    if by is Role.STUDENT:
        return say("The student cancelled the booking.")
    return (
        say("The instructor cancelled the booking.")
        if by is Role.INSTRUCTOR
        else say("Our team cancelled the booking.")
    )


class PaymentOutcome(NamedTuple):
    """Where a payment's money went."""

    price: Money
    charged_before: Money | None
    """What was charged before the booking ended; `None` if it was only held."""
    captured: Money
    returned: Money
    """As a released hold, or as a refund."""
    platform_fee: Money
    share: Money
    """The instructor's share: the captured amount less the fee, plus what the platform bore of a refund."""


def payment_outcome(language: Language, money: PaymentOutcome | None, reader: Recipient) -> str:
    """What the reader pays or receives. `money` is `None` if nobody paid."""
    if reader is Recipient.INSTRUCTOR:
        return _instructor_outcome(language, money)
    say = language.gettext
    if money is None:
        return say("You were not charged.")
    if money.charged_before:
        return _charge_outcome(language, money.charged_before, money.captured)
    if not money.captured:
        return say("You were not charged. The hold of %(amount)s is released.", amount=language.money(money.price))
    sentences = [say("You were charged %(amount)s.", amount=language.money(money.captured))]
    released = money.price - money.captured
    if released:
        sentences.append(say("The rest of the hold, %(amount)s, is released.", amount=language.money(released)))
    refunded = money.returned - released
    if refunded:
        sentences.append(say("%(amount)s of it is refunded.", amount=language.money(refunded)))
    return " ".join(sentences)


def _charge_outcome(language: Language, charged: Money, kept: Money) -> str:
    say, paid = language.gettext, language.gettext("You were charged %(amount)s.", amount=language.money(charged))
    if kept == charged:
        return paid
    all_of_it, part = say("All of it is refunded."), language.money(charged - kept)
    return f"{paid} {say('%(amount)s of it is refunded.', amount=part) if kept else all_of_it}"


def _instructor_outcome(language: Language, money: PaymentOutcome | None) -> str:
    say = language.gettext
    if money is None or not money.share:
        return say("There is no payout for this booking.")
    if money.share != money.captured - money.platform_fee:
        return say("Your share is %(share)s.", share=language.money(money.share))
    return say(
        "Your share is %(share)s: %(charged)s less a platform fee of %(fee)s.",
        share=language.money(money.share),
        charged=language.money(money.captured),
        fee=language.money(money.platform_fee),
    )
