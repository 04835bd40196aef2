"""Settings shared by worker and API, from the environment. Insecure or contradictory settings stop the start-up."""

from datetime import timedelta
from email.utils import parseaddr
from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, AnyHttpUrl, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.documents.issuer import Issuer
from models.domain.money import BASIS_POINTS, Rounding
from models.domain.payment_plans import EXPECTED_HOLD, holding_limit
from models.domain.policy import (
    BookingPolicy,
    CancellationPolicy,
    CompletionTimeoutPolicy,
    Deadlines,
    FraudWarningPolicy,
    LossBearer,
)
from models.domain.rationing import PERIOD, BookingLimits

_DEFAULTS = Deadlines()
_POLICY = BookingPolicy()
_LIMITS = BookingLimits()


_SANDBOX_SERVICE = "stripe-sandbox"
"""The sandbox's name in the container network of docker-compose.yml."""


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


def operator_page(public_url: str, booking_id: UUID) -> str:
    """The URL of a booking's page for operators."""
    return f"{public_url.rstrip('/')}/operator/bookings/{booking_id}"


class StripeSettings(BaseSettings):
    """Stripe's key and URL. `STRIPE_API_BASE` points at the sandbox, to which only a test key may be sent."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    holdfast_env: Environment = Environment.PRODUCTION
    stripe_api_key: SecretStr
    stripe_api_base: str | None = None

    @model_validator(mode="after")
    def _key_matches_base_url(self) -> Self:
        live = self.stripe_api_key.get_secret_value().startswith(("sk_live_", "rk_live_"))
        test = self.stripe_api_key.get_secret_value().startswith(("sk_test_", "rk_test_"))
        if not (live or test):
            raise ValueError("STRIPE_API_KEY must start with sk_live_, rk_live_, sk_test_ or rk_test_")
        if self.stripe_api_base is None:
            return self
        if live or self.holdfast_env is Environment.PRODUCTION:
            raise ValueError(
                "STRIPE_API_BASE is for the sandbox: unset it beside a live key or HOLDFAST_ENV=production"
            )
        if urlsplit(self.stripe_api_base).hostname not in ("127.0.0.1", "localhost", "::1", _SANDBOX_SERVICE):
            raise ValueError("STRIPE_API_BASE must be on this machine: a Stripe key is sent there")
        return self


class PolicySettings(BaseSettings):
    """The platform's rules for new bookings. Windows are ISO 8601 durations (`PT30M`, `P1D`)."""

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", extra="ignore")

    fee_bps: int = Field(default=_POLICY.fee_bps, ge=0, le=BASIS_POINTS)
    fee_tax_bps: int = Field(default=_POLICY.fee_tax_bps, ge=0, le=BASIS_POINTS)
    rounding: Rounding = _POLICY.rounding
    student_absent_kept_bps: int = Field(default=_POLICY.student_absent_kept_bps, ge=0, le=BASIS_POINTS)
    joint_presence_bps: int = Field(default=_POLICY.joint_presence_bps, ge=0, le=BASIS_POINTS)
    no_show_min_wait: timedelta = Field(default=_POLICY.no_show_min_wait, ge=timedelta(0))
    on_completion_timeout: CompletionTimeoutPolicy = _POLICY.on_completion_timeout
    lost_dispute_borne_by: LossBearer = _POLICY.lost_dispute_borne_by
    on_fraud_warning: FraudWarningPolicy = _POLICY.on_fraud_warning
    checkout_window: timedelta = _DEFAULTS.checkout_window
    decline_grace: timedelta = _DEFAULTS.decline_grace
    approval_window: timedelta = _DEFAULTS.approval_window
    completion_window: timedelta = _DEFAULTS.completion_window
    contest_window: timedelta = timedelta(hours=24)
    objection_window: timedelta = timedelta(days=1)
    hold_margin: timedelta = _DEFAULTS.hold_margin
    renewal_lead: timedelta = Field(default=_DEFAULTS.renewal_lead, ge=timedelta(0), le=EXPECTED_HOLD)
    late_payment_window: timedelta = Field(
        default=_DEFAULTS.late_payment_window, ge=timedelta(0), le=timedelta(days=30)
    )
    platform_country: str | None = Field(default=None, pattern="^[A-Z]{2}$")
    """ISO 3166-1. Decides how long the platform may keep funds."""
    funds_kept_at_most: timedelta | None = Field(default=None, ge=timedelta(0))
    """Lowers that time. With none, a session beyond a hold cannot be booked."""
    max_unpaid: int = Field(default=_LIMITS.max_unpaid, ge=0)
    max_unpaid_per_instructor: int = Field(default=_LIMITS.max_unpaid_per_instructor, ge=0)
    lapsed_slot_wait: timedelta = Field(default=_LIMITS.lapsed_slot_wait, ge=timedelta(0), le=PERIOD)
    max_lapses: int = Field(default=_LIMITS.max_lapses, ge=0)
    max_declined_cards: int = Field(default=_LIMITS.max_declined_cards, ge=0)

    @property
    def limits(self) -> BookingLimits:
        """What a student may reserve without paying."""
        return BookingLimits(**{limit: getattr(self, limit) for limit in BookingLimits.model_fields})

    @property
    def holding_limit(self) -> timedelta:
        """How long the platform keeps a charged payment before it is transferred or refunded."""
        limit = holding_limit(self.platform_country)
        return limit if self.funds_kept_at_most is None else min(limit, self.funds_kept_at_most)

    def freeze(self, cancellation: CancellationPolicy) -> BookingPolicy:
        """The policy of a booking made now, with its offering's cancellation tiers."""
        return BookingPolicy(
            fee_bps=self.fee_bps,
            fee_tax_bps=self.fee_tax_bps,
            rounding=self.rounding,
            cancellation=cancellation,
            student_absent_kept_bps=self.student_absent_kept_bps,
            joint_presence_bps=self.joint_presence_bps,
            no_show_min_wait=self.no_show_min_wait,
            on_completion_timeout=self.on_completion_timeout,
            lost_dispute_borne_by=self.lost_dispute_borne_by,
            on_fraud_warning=self.on_fraud_warning,
            deadlines=Deadlines(**{window: getattr(self, window) for window in Deadlines.model_fields}),
        )


def _text_or_none(text: str | None) -> str | None:
    return (text or "").strip() or None


def _name_and_address(text: str) -> str:
    name, address = parseaddr(text)
    if not (text.isprintable() and name and address.isascii() and address.count("@") == 1):
        raise ValueError("must be of the form: Name <name@example.com>")
    return text


def _address_or_none(text: str | None) -> str | None:
    address = _text_or_none(text)
    if address and (parseaddr(address) != ("", address) or address.count("@") != 1 or not address.isascii()):
        raise ValueError("must be an address: operators@example.com")
    return address


class SmtpSecurity(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    """Implicit TLS, usually on port 465."""
    NONE = "none"


class MailSettings(BaseSettings):
    """The SMTP server. Without a host no mail is sent, which production refuses."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    holdfast_env: Environment = Environment.PRODUCTION
    holdfast_smtp_host: Annotated[str | None, AfterValidator(_text_or_none)] = None
    holdfast_smtp_port: int = Field(default=587, ge=1, le=65535)
    holdfast_smtp_security: SmtpSecurity = SmtpSecurity.STARTTLS
    holdfast_smtp_user: str | None = None
    holdfast_smtp_password: SecretStr | None = None
    holdfast_mail_from: Annotated[str, AfterValidator(_name_and_address)] | None = None
    """`Name <address>`: the sender of every mail."""
    holdfast_operator_mail: Annotated[str | None, AfterValidator(_address_or_none)] = None
    """Where the operators get a digest of what waits for them. Without it, they get none."""
    holdfast_pages: bool = True
    """As the API's: whether emails link to the pages of bookings."""

    @model_validator(mode="after")
    def _smtp_is_configured_safely(self) -> Self:
        is_production = self.holdfast_env is Environment.PRODUCTION
        if self.holdfast_smtp_host is None:
            if self.holdfast_operator_mail:
                raise ValueError("HOLDFAST_SMTP_HOST is missing beside HOLDFAST_OPERATOR_MAIL")
            if is_production:
                raise ValueError("HOLDFAST_SMTP_HOST is missing: nobody would be told of anything")
            return self
        if self.holdfast_mail_from is None:
            raise ValueError("HOLDFAST_MAIL_FROM is missing beside HOLDFAST_SMTP_HOST")
        if (self.holdfast_smtp_user is None) != (self.holdfast_smtp_password is None):
            raise ValueError("HOLDFAST_SMTP_USER and HOLDFAST_SMTP_PASSWORD go together")
        if is_production and self.holdfast_smtp_user and self.holdfast_smtp_security is SmtpSecurity.NONE:
            raise ValueError("HOLDFAST_SMTP_SECURITY=none would send HOLDFAST_SMTP_PASSWORD in the clear")
        return self


_WEBHOOK_KEY_BYTES = 32


def _are_webhook_keys(keys: SecretStr | None) -> SecretStr | None:
    if keys is None or not keys.get_secret_value().strip():
        return None
    if any(len(key.strip().encode()) < _WEBHOOK_KEY_BYTES for key in keys.get_secret_value().split(",")):
        raise ValueError(f"must have at least {_WEBHOOK_KEY_BYTES} bytes; with commas, each of the keys")
    return keys


class WebhookSettings(BaseSettings):
    """Outgoing webhooks. Without a key there are none."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    holdfast_env: Environment = Environment.PRODUCTION
    holdfast_webhook_key: Annotated[SecretStr | None, AfterValidator(_are_webhook_keys)] = None
    """The key from which endpoints' signing secrets are derived, or several separated by commas: the first is for new
    endpoints, all of them sign. API and worker have the same."""
    holdfast_webhook_allow_private: bool = False
    """Send to private addresses and without TLS, for a local stack."""

    @model_validator(mode="after")
    def _private_addresses_are_for_development(self) -> Self:
        if self.holdfast_webhook_allow_private and self.holdfast_env is Environment.PRODUCTION:
            raise ValueError("HOLDFAST_WEBHOOK_ALLOW_PRIVATE would let messages reach the platform's own network")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        key = self.holdfast_webhook_key
        return tuple(part.strip() for part in key.get_secret_value().split(",")) if key else ()


class DocumentSettings(BaseSettings):
    """The issuer named on receipts and statements."""

    model_config = SettingsConfigDict(extra="ignore")

    holdfast_platform_name: str = Field(default="Holdfast", min_length=1, max_length=60)
    holdfast_platform_address: str = Field(default="", max_length=90)
    """One line: company, address, tax number."""

    @property
    def issuer(self) -> Issuer:
        return Issuer(self.holdfast_platform_name, self.holdfast_platform_address)


class RuntimeSettings(BaseSettings):
    """Postgres and the task queue. Temporal's own variables (`TEMPORAL_ADDRESS`, …) are read by its SDK."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    database_url: SecretStr
    holdfast_task_queue: str = "holdfast"
    holdfast_links_url: AnyHttpUrl | None = None
    """Base URL of links in mails and calendars: a front end that signs its users in. Defaults to the API itself."""
