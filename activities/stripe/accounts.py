"""Connected accounts at Stripe: Accounts v2 with a recipient configuration, and the accounts from before it.

Sources: Stripe API reference, "v2 Accounts" and "v2 Account Links"; docs "Connect and the Accounts v2 API", "Use the
Accounts v2 API in your existing integration", "Account capabilities".
"""

from datetime import UTC, datetime
from uuid import UUID

import stripe
from stripe.params.v2.core import AccountRetrieveParams
from stripe.v2.core import Account

from activities.stripe.errors import ACCOUNT_INVALID, code_of, translated_errors
from models.domain.actors import Capability
from models.domain.onboarding import AccountState, OnboardingLink

_INCLUDE: AccountRetrieveParams = {"include": ["configuration.recipient", "requirements"]}
_CAPABILITY = {"active": Capability.ACTIVE, "pending": Capability.PENDING}
"""Any other status is final until something changes: restricted, rejected, unsupported."""


class StripeAccounts:
    """Implements `AccountGateway`. Onboarding redirects back to `public_url`."""

    def __init__(self, client: stripe.StripeClient, public_url: str) -> None:
        self._client = client
        self._public_url = public_url.rstrip("/")

    async def create_account(self, instructor_id: UUID, email: str, *, key: str) -> str:
        """A recipient of transfers with the Express Dashboard, from which Stripe collects the requirements.

        Its country is the platform's: a destination charge without `on_behalf_of` needs an account in the same region.
        """
        async with translated_errors():
            platform = await self._client.v1.accounts.retrieve_current_async()
            account = await self._client.v2.core.accounts.create_async(
                {
                    "contact_email": email,
                    "dashboard": "express",
                    "identity": {"country": (platform.country or "us").lower(), "entity_type": "individual"},
                    "defaults": {
                        "responsibilities": {"fees_collector": "application", "losses_collector": "application"}
                    },
                    "configuration": {
                        "recipient": {"capabilities": {"stripe_balance": {"stripe_transfers": {"requested": True}}}}
                    },
                    "metadata": {"instructor_id": str(instructor_id)},
                },
                {"idempotency_key": key},
            )
        return account.id

    async def open_onboarding_link(self, account_id: str, *, key: str) -> OnboardingLink:
        return_url, refresh_url = (f"{self._public_url}/onboarding/{page}" for page in ("return", "refresh"))
        async with translated_errors():
            if await self._find_recipient(account_id):
                link = await self._client.v2.core.account_links.create_async(
                    {
                        "account": account_id,
                        "use_case": {
                            "type": "account_onboarding",
                            "account_onboarding": {"return_url": return_url, "refresh_url": refresh_url},
                        },
                    },
                    {"idempotency_key": key},
                )
                return OnboardingLink(url=link.url, expires_at=datetime.fromisoformat(link.expires_at))
            older = await self._client.v1.account_links.create_async(
                {
                    "account": account_id,
                    "type": "account_onboarding",
                    "return_url": return_url,
                    "refresh_url": refresh_url,
                },
                {"idempotency_key": key},
            )
        return OnboardingLink(url=older.url, expires_at=datetime.fromtimestamp(older.expires_at, UTC))

    async def look_up_account(self, account_id: str) -> AccountState:
        """The capability to receive transfers decides, not `charges_enabled`."""
        async with translated_errors():
            if recipient := await self._find_recipient(account_id):
                return AccountState.gone(account_id) if recipient.closed else _state(recipient)
            try:
                return _older_state(await self._client.v1.accounts.retrieve_async(account_id))
            except stripe.PermissionError as error:
                if code_of(error) != ACCOUNT_INVALID:
                    raise
                return AccountState.gone(account_id)

    async def _find_recipient(self, account_id: str) -> Account | None:
        """`None` if only Accounts v1 can say what the account is.

        It was created there and requests no transfers, or minutes ago, or the platform has no access to Accounts v2.
        """
        try:
            account = await self._client.v2.core.accounts.retrieve_async(account_id, _INCLUDE)
        except (stripe.PermissionError, stripe.InvalidRequestError):
            return None
        return account if "recipient" in account.applied_configurations else None


def _state(account: Account) -> AccountState:
    """Stripe omits or nulls what does not apply, such as the capabilities if none is requested."""
    recipient = getattr(account.configuration, "recipient", None)
    balance = getattr(getattr(recipient, "capabilities", None), "stripe_balance", None)
    transfers = getattr(balance, "stripe_transfers", None)
    entries = account.requirements.entries or () if account.requirements else ()
    return AccountState(
        account_id=account.id,
        transfers=_CAPABILITY.get(getattr(transfers, "status", ""), Capability.INACTIVE),
        requirements=tuple(
            sorted(
                entry.description
                for entry in entries
                if entry.awaiting_action_from == "user" and entry.minimum_deadline.status != "eventually_due"
            )
        ),
        disabled_reason=next((detail.code for detail in getattr(transfers, "status_details", ())), None),
    )


def _older_state(account: stripe.Account) -> AccountState:
    requirements = account.requirements
    due = {*(requirements.currently_due or ()), *(requirements.past_due or ())} if requirements else set()
    return AccountState(
        account_id=account.id,
        transfers=Capability(getattr(account.capabilities, "transfers", Capability.INACTIVE)),
        requirements=tuple(sorted(due)),
        disabled_reason=requirements.disabled_reason if requirements else None,
    )
