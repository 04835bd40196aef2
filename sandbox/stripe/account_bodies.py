"""The body of a new connected account, and of the platform's own account.

Source: API reference, "The Account object".
"""

from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.ids import PLATFORM, new_id
from sandbox.stripe.json_values import JsonObject, copied, merged_metadata

KIND = "account"

NO_REQUIREMENTS: JsonObject = {
    "alternatives": [],
    "current_deadline": None,
    "currently_due": [],
    "disabled_reason": None,
    "errors": [],
    "eventually_due": [],
    "past_due": [],
    "pending_verification": [],
}


def blank(context: Context, params: JsonObject) -> JsonObject:
    """A new account's body from the parameters of `create`, with Stripe's defaults."""
    id = new_id("acct", 16).replace("acct_", "acct_1")
    country = params.get("country", "US")
    return {
        "id": id,
        "object": KIND,
        "business_profile": _business_profile(params.get("business_profile") or {}),
        "business_type": params.get("business_type"),
        "capabilities": {},
        "charges_enabled": False,
        "controller": _controller(params.get("controller") or {}),
        "country": country,
        "created": context.now(),
        "default_currency": params.get("default_currency", "usd" if country == "US" else "eur"),
        "details_submitted": False,
        "email": params.get("email"),
        "future_requirements": copied(NO_REQUIREMENTS),
        "metadata": merged_metadata(None, params.get("metadata")),
        "payouts_enabled": False,
        "requirements": copied(NO_REQUIREMENTS),
        "settings": settings(_schedule(params)),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": params.get("type", "none"),
    }


def _controller(params: JsonObject) -> JsonObject:
    """Who pays fees, is liable for losses and collects requirements, with Stripe's defaults."""
    return {
        "fees": {"payer": params.get("fees", {}).get("payer", "account")},
        "is_controller": True,
        "losses": {"payments": params.get("losses", {}).get("payments", "stripe")},
        "requirement_collection": params.get("requirement_collection", "stripe"),
        "stripe_dashboard": {"type": params.get("stripe_dashboard", {}).get("type", "full")},
        "type": "application",
    }


def _business_profile(params: JsonObject) -> JsonObject:
    blank: JsonObject = {
        "annual_revenue": None,
        "estimated_worker_count": None,
        "mcc": None,
        "minority_owned_business_designation": None,
        "name": None,
        "product_description": None,
        "support_address": None,
        "support_email": None,
        "support_phone": None,
        "support_url": None,
        "url": None,
    }
    return blank | {name: value for name, value in params.items() if name in blank}


def settings(payout_interval: str) -> JsonObject:
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": None, "timezone": "Etc/UTC"},
        "payments": {
            "statement_descriptor": None,
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
        },
        "payouts": {
            "debit_negative_balances": True,
            "schedule": {"delay_days": 2, "interval": payout_interval},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }


def platform() -> JsonObject:
    return {
        "id": PLATFORM,
        "object": KIND,
        "business_profile": _business_profile({"name": "Sandbox platform"}),
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "payouts_enabled": True,
        "settings": settings("manual"),
        "type": "standard",
    }


def _schedule(params: JsonObject) -> str:
    return payout_interval(params) or "daily"


def payout_interval(params: JsonObject) -> str | None:
    """The payout interval in the parameters, if any.

    Raises:
        StripeError: 400 for an interval that is not modelled.
    """
    schedule = params.get("settings", {}).get("payouts", {}).get("schedule", {})
    interval: str | None = schedule.get("interval")
    if interval not in (None, "daily", "manual"):
        raise invalid(
            "The sandbox models the payout schedules daily and manual only.",
            param="settings[payouts][schedule][interval]",
        )
    return interval
