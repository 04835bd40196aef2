"""Creates onboarded connected accounts for instructors, with the values that Stripe's test mode treats as verified.

Sources: Stripe, "Testing Stripe Connect" (dates of birth, addresses, bank tokens) and "Account capabilities".
"""

from typing import Final
from uuid import UUID

from stripe import StripeClient
from stripe.params import AccountCreateParams

# Fixed: a request that repeats an idempotency key must have the same parameters.
_AGREED_AT: Final = 1_767_225_600


async def create_connected_account(
    client: StripeClient, instructor_id: UUID, first_name: str, last_name: str, email: str
) -> str:
    """Create an account that can receive transfers and payouts, and return its id.

    Within a day, another call for the same instructor returns the same account. Only for the sandbox and for Stripe's
    test mode: the platform provides everything that Stripe would collect from the person.
    """
    params: AccountCreateParams = {
        "country": "US",
        "email": email,
        "controller": {
            "fees": {"payer": "application"},
            "losses": {"payments": "application"},
            "requirement_collection": "application",
            "stripe_dashboard": {"type": "none"},
        },
        # Destination charges need only `transfers`, but Stripe grants it without `card_payments` only on application.
        "capabilities": {"card_payments": {"requested": True}, "transfers": {"requested": True}},
        "business_type": "individual",
        "business_profile": {"mcc": "8299", "url": "https://accessible.stripe.com"},
        "individual": {
            "first_name": first_name,
            "last_name": last_name,
            "email": email,
            "phone": "0000000000",
            "dob": {"day": 1, "month": 1, "year": 1902},
            "address": {
                "line1": "address_full_match",
                "city": "San Francisco",
                "state": "CA",
                "postal_code": "94103",
                "country": "US",
            },
            "ssn_last_4": "0000",
        },
        "external_account": "btok_us_verified",
        "tos_acceptance": {"date": _AGREED_AT, "ip": "127.0.0.1"},
        "metadata": {"instructor_id": str(instructor_id)},
    }
    account = await client.v1.accounts.create_async(
        params, {"idempotency_key": f"instructor-{instructor_id}:create_account"}
    )
    return account.id
