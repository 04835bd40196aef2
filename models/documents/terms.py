"""A booking's terms in words: what a student pays who cancels, or does not attend. Shown before paying and in mails."""

from datetime import timedelta

from models.domain.money import BASIS_POINTS, Money
from models.domain.policy import BookingPolicy, CancellationPolicy, kept_on_student_absence
from models.languages import Language


def cancellation_terms(language: Language, policy: CancellationPolicy) -> str:
    """The frozen cancellation policy, for the student."""
    if not policy.tiers:
        return language.gettext("If you cancel after the confirmation, you pay the full price.")
    tiers = [
        language.gettext(
            "%(portion)s until %(time)s before the start",
            portion=_portion(language, BASIS_POINTS - tier.refund_bps),
            time=_duration(language, tier.before),
        )
        for tier in policy.tiers
    ]
    return language.gettext(
        "If you cancel after the confirmation, you pay: %(tiers)s; the full price after that.", tiers=", ".join(tiers)
    )


def absence_terms(language: Language, price: Money, policy: BookingPolicy) -> str:
    return language.gettext(
        "If you do not attend, you pay %(amount)s.", amount=language.money(kept_on_student_absence(price, policy))
    )


def _portion(language: Language, bps: int) -> str:
    return language.percent(bps) if bps else language.gettext("nothing")


def _duration(language: Language, time: timedelta) -> str:
    hours, minutes = divmod(time // timedelta(minutes=1), 60)
    parts = [language.hours(hours)] if hours or not minutes else []
    return " ".join([*parts, *([language.minutes(minutes)] if minutes else [])])
