"""Formats times, money and reasons for a reader. Pure."""

import re
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from models.domain.actors import Role
from models.domain.endings import EndReason
from models.domain.money import BASIS_POINTS, Money
from models.domain.notifications import Recipient
from models.domain.policy import CancellationPolicy

_NOT_ON_ONE_LINE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def one_line(text: str) -> str:
    """A user's text without line breaks, control characters and bidirectional overrides: it cannot imitate ours."""
    return _NOT_ON_ONE_LINE.sub(" ", text).strip()


def local_time(at: datetime, where: ZoneInfo) -> str:
    """`Thursday, 5 March 2026, 10:00 (Europe/Berlin)`."""
    return f"{_day(at.astimezone(where))} ({where.key})"


def local_period(starts_at: datetime, ends_at: datetime, where: ZoneInfo) -> str:
    """`Thursday, 5 March 2026, 10:00–11:00 (Europe/Berlin)`; with both days if it spans midnight."""
    starts, ends = starts_at.astimezone(where), ends_at.astimezone(where)
    end = f"{ends:%H:%M}" if starts.date() == ends.date() else f" {_day(ends)}"
    return f"{_day(starts)}–{end} ({where.key})"


def _day(local: datetime) -> str:
    return f"{local:%A}, {local.day} {local:%B %Y, %H:%M}"


def cancellation_terms(policy: CancellationPolicy) -> str:
    """The frozen cancellation policy in a sentence for the student."""
    parts = [f"{_percent(tier.refund_bps)} until {_before(tier.before)}" for tier in policy.tiers]
    if not parts:
        return "If you cancel, nothing goes back to you."
    return f"If you cancel, this goes back to you: {', '.join(parts)}; later, nothing."


def _percent(bps: int) -> str:
    if bps == BASIS_POINTS:
        return "all of it"
    whole, rest = divmod(bps, 100)
    return f"{whole}.{rest:02d}%".replace(".00%", "%")


def _before(before: timedelta) -> str:
    minutes = before // timedelta(minutes=1)
    if not minutes:
        return "the start"
    hours, rest = divmod(minutes, 60)
    parts = [
        f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in ((hours, "hour"), (rest, "minute")) if count
    ]
    return f"{' and '.join(parts)} before the start"


# Only reasons that help the card holder. Stripe says to hide the others ("Decline codes": fraudulent, lost, stolen).
_DECLINE_REASONS = {
    "insufficient_funds": "there is not enough money on it",
    "expired_card": "it has expired",
    "incorrect_cvc": "the security code was wrong",
    "incorrect_number": "its number was wrong",
    "card_not_supported": "it cannot be used for this",
    "currency_not_supported": "it cannot be used in this currency",
    "authentication_required": "your bank wanted to hear from you",
}


def unpaid_reason(reason: EndReason, decline_code: str | None) -> str:
    """Why a booking was deleted. Raises `KeyError` for a reason that deletes no booking."""
    detail = _DECLINE_REASONS.get(decline_code or "")
    return {
        EndReason.CARD_DECLINED: f"your card was declined: {detail}" if detail else "your card was declined",
        EndReason.CHECKOUT_EXPIRED: "it was not paid in time",
        EndReason.HOLD_TOO_SHORT: "your bank does not hold the money until the session is over",
        EndReason.CHECKOUT_REFUSED: "the payment could not be started",
    }[reason]


def closing_reason(reason: EndReason, by: Role, reader: Recipient) -> str:
    """Why a booking was closed, for student or instructor. Raises `KeyError` for a reason that closes no booking."""
    by_reader = by == reader.value
    return {
        EndReason.REJECTED: "The instructor did not take the booking.",
        EndReason.APPROVAL_TIMEOUT: "The instructor did not answer in time.",
        EndReason.CANCELLED: "You cancelled it." if by_reader else _CANCELLED_BY[by],
        EndReason.COMPLETED: _COMPLETED_BY.get(by, "The session took place."),
        EndReason.STUDENT_ABSENT: "It was reported that the student did not come.",
        EndReason.INSTRUCTOR_ABSENT: "It was reported that the instructor did not come.",
        EndReason.NO_SHOW_REFUTED: "A no-show was reported, but the meeting's record shows that it took place.",
        EndReason.COMPLETION_TIMEOUT: "Nobody said in time whether it took place.",
        EndReason.SETTLED_BY_OPERATOR: "The platform has decided that it counts as held.",
        EndReason.RELEASED_BY_OPERATOR: "The platform has called it off.",
        EndReason.REFUNDED_BY_OPERATOR: "The platform has decided what goes back to the student.",
    }[reason]


_COMPLETED_BY = {
    Role.STUDENT: "The student confirmed that it took place.",
    Role.INSTRUCTOR: "The instructor reported that it took place.",
}
_CANCELLED_BY = {
    Role.STUDENT: "The student cancelled it.",
    Role.INSTRUCTOR: "The instructor cancelled it.",
    Role.OPERATOR: "The platform cancelled it.",
    Role.PLATFORM: "The platform cancelled it.",
}


class PaymentOutcome(NamedTuple):
    """Where a payment's money went."""

    price: Money
    captured: Money
    returned: Money
    platform_fee: Money
    share: Money
    """The instructor's share: the captured amount less the fee, plus what the platform bore of a refund."""


def payment_outcome(money: PaymentOutcome | None, reader: Recipient) -> str:
    """What the reader pays or receives. `money` is `None` if nobody paid."""
    if money is None:
        return "Nothing was charged."
    if reader is Recipient.INSTRUCTOR:
        share = money.share
        if not share:
            return "Nothing is paid out for it."
        if share != money.captured - money.platform_fee:
            return f"Your share is {share.format()}."
        return f"Your share is {share.format()}: {money.captured.format()} less a fee of {money.platform_fee.format()}."
    if not money.captured:
        return f"All of the {money.price.format()} goes back to you."
    if not money.returned:
        return f"You paid {money.captured.format()}."
    return f"You paid {money.captured.format()}; {money.returned.format()} goes back to you."
