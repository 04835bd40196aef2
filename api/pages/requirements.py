"""What Stripe still needs from an instructor, in words."""

import re
from collections.abc import Iterable

from models.languages import Language


def in_words(requirements: Iterable[str], language: Language) -> list[str]:
    """Each once. A requirement that nobody has a word for stays Stripe's code."""
    return list(dict.fromkeys(_in_words(each, language) for each in requirements))


def _in_words(requirement: str, language: Language) -> str:
    """The codes of Stripe's accounts v1 and v2 name the same things (Stripe, "Required verification information")."""
    say = language.gettext
    words = {
        r"external_account|bank_accounts?|.*outbound_destination.*": say("your bank account"),
        r"tos_acceptance|terms_of_service": say("your agreement to Stripe's terms"),
        r"verification|document": say("an identity document"),
        r"id_number|ssn_last_4|id_numbers": say("your ID or tax number"),
        r"dob|date_of_birth": say("your date of birth"),
        r"address": say("your address"),
        r"email": say("your email address"),
        r"phone": say("your phone number"),
        r"business_profile|business_details|business_type|company": say("details of your business"),
        r"representative|owners|directors|executives": say("the people behind your business"),
        r"name|first_name|last_name|given_name|surname": say("your name"),
    }
    for pattern, word in words.items():
        if any(re.fullmatch(pattern, part) for part in requirement.split(".")):
            return word
    return requirement
