"""What a student can do about a declined card, by Stripe's `advice_code` (Stripe, "Card declines: retrying")."""

ADVICE = {
    "try_again_later": "You can try the same card again later.",
    "do_not_try_again": "Do not try this card again: use another one.",
    "confirm_card_data": "Check the card's number, expiry date and security code, or use another card.",
}


def advice(advice_code: str | None) -> str | None:
    """One sentence. `None` if there is no advice, or one that Stripe has added since."""
    return ADVICE.get(advice_code or "")
