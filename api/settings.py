"""The API's settings, from the environment. A missing or weak value stops the process at start-up."""

import os
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Self
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Request
from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.http.auth import signing_keys
from api.meeting_provider import PROVIDER_SETTINGS, Meetings, MeetingSettings, meetings_from_environment
from models.domain.actors import Role
from models.domain.tax_reporting import Thresholds
from models.settings import (
    DocumentSettings,
    Environment,
    PolicySettings,
    RuntimeSettings,
    WebhookSettings,
    operator_page,
)
from models.startup_check import check_settings

_THRESHOLDS = Thresholds()
_ROLES = (Role.STUDENT, Role.INSTRUCTOR, Role.OPERATOR)

_TOKEN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: a key for HS256 is at least as long as the hash."""


def _is_long_enough(secret: SecretStr) -> SecretStr:
    if any(len(key.encode()) < _TOKEN_SECRET_BYTES for key in signing_keys(secret.get_secret_value())):
        raise ValueError(f"must have at least {_TOKEN_SECRET_BYTES} bytes; with commas, each of the secrets")
    return secret


def _no_empty_secret(secrets: SecretStr) -> SecretStr:
    if not all(secret.strip() for secret in secrets.get_secret_value().split(",")):
        raise ValueError("must not be empty: with an empty secret anybody could sign Stripe's events")
    return secrets


def _split(secrets: SecretStr) -> tuple[str, ...]:
    return tuple(secret.strip() for secret in secrets.get_secret_value().split(","))


_ORIGIN = re.compile(r"https?://(\[[0-9a-f:]+\]|[a-z0-9-]+(\.[a-z0-9-]+)*)(:[0-9]{1,5})?")


def _split_origins(origins: object) -> object:
    return [origin.strip() for origin in origins.split(",") if origin.strip()] if isinstance(origins, str) else origins


def _is_origin(origin: str) -> str:
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("must be origins as browsers send them, such as https://app.example: no path, no wildcard")
    return origin


def _is_address(address: str | None) -> str | None:
    if address and not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):[0-9]{1,5}", address):
        raise ValueError("must be host:port")
    return address or None


def _is_redis(url: SecretStr | None) -> SecretStr | None:
    value = url.get_secret_value() if url else ""
    if value and not re.match(r"rediss?://[^/]", value):
        raise ValueError("must begin with redis:// or rediss:// and a host")
    return url if value else None


Origin = Annotated[str, AfterValidator(_is_origin)]


class TokenSettings(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    holdfast_token_secret: Annotated[SecretStr, AfterValidator(_is_long_enough)]
    """One secret, or several separated by commas: the first signs, all of them verify."""


class HttpSettings(TokenSettings):
    """Secrets, token lifetime, public URL and CORS."""

    holdfast_token_lifetime: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=1))] = timedelta(
        hours=1
    )
    """Lifetime of the tokens issued at sign-in. A new password, a sign-out and a closed account revoke them earlier."""
    stripe_webhook_secret: Annotated[SecretStr, AfterValidator(_no_empty_secret)]
    """The endpoint's signing secret, or several separated by commas while Stripe rolls it."""
    stripe_connect_webhook_secret: Annotated[SecretStr, AfterValidator(_no_empty_secret)]
    """The same, for the endpoint that receives events of connected accounts."""
    holdfast_env: Environment = Environment.PRODUCTION
    stripe_livemode: bool | None = None
    """Whether the Stripe key is a live one; if omitted, in production only. Events of the other mode are dropped."""
    holdfast_verify_addresses: bool | None = None
    """Whether students verify their address before their first booking; if omitted, in production only."""
    holdfast_public_url: AnyHttpUrl
    holdfast_pages: bool = True
    """`off` for a platform with a front end of its own. The pages that Stripe and mails lead to stay."""
    holdfast_temporal_ui_url: AnyHttpUrl | None = None
    """A namespace in Temporal's UI (`https://temporal.example/namespaces/default`), to which operators get links."""
    holdfast_cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split_origins)] = ()
    """Origins whose pages may read responses in a browser, separated by commas. Empty by default."""
    holdfast_api_metrics_address: Annotated[str | None, AfterValidator(_is_address)] = None
    """`host:port` on which the API's Prometheus metrics are served. Do not publish it: it has business figures."""
    holdfast_limits_url: Annotated[SecretStr | None, AfterValidator(_is_redis)] = None
    """`redis://` or `rediss://`: a Redis or Valkey in which all API processes count rate limits together."""

    @property
    def is_livemode(self) -> bool:
        return self.holdfast_env is Environment.PRODUCTION if self.stripe_livemode is None else self.stripe_livemode

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        if self.holdfast_api_metrics_address is None:
            return None
        host, _, port = self.holdfast_api_metrics_address.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def verifies_addresses(self) -> bool:
        is_production = self.holdfast_env is Environment.PRODUCTION
        return is_production if self.holdfast_verify_addresses is None else self.holdfast_verify_addresses

    def page_for_operators(self, booking_id: UUID) -> str | None:
        """The URL of the booking's page; `None` without the pages."""
        if not self.holdfast_pages:
            return None
        return operator_page(str(self.holdfast_public_url), booking_id)

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        return _split(self.stripe_webhook_secret)

    @property
    def connect_webhook_secrets(self) -> tuple[str, ...]:
        return _split(self.stripe_connect_webhook_secret)


class IdentitySettings(BaseSettings):
    """An OpenID Connect provider that replaces the built-in sign-in. Not used unless an issuer is set."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    holdfast_oidc_issuer: str | None = None
    """Must equal the `iss` claim of the tokens exactly."""
    holdfast_oidc_audience: str | None = None
    holdfast_oidc_client_id: str | None = None
    """With which the pages sign people in. The audience if not set."""
    holdfast_oidc_client_secret: SecretStr | None = None
    """Not needed for a public client: the sign-in uses PKCE."""
    holdfast_oidc_jwks_url: AnyHttpUrl | None = None
    """Discovered from the issuer if not set."""
    holdfast_oidc_role_claim: str = Field(default="roles", min_length=1)
    holdfast_oidc_student_role: str = Field(default="student", min_length=1)
    holdfast_oidc_instructor_role: str = Field(default="instructor", min_length=1)
    holdfast_oidc_operator_role: str = Field(default="operator", min_length=1)

    @model_validator(mode="after")
    def _is_complete_and_safe(self) -> Self:
        if self.holdfast_oidc_issuer is None:
            if self.holdfast_oidc_audience or self.holdfast_oidc_jwks_url:
                raise ValueError("HOLDFAST_OIDC_ISSUER is missing")
            return self
        if not self.holdfast_oidc_audience:
            raise ValueError("HOLDFAST_OIDC_AUDIENCE is missing: a token for another program would be taken")
        for url in (self.holdfast_oidc_issuer, str(self.holdfast_oidc_jwks_url or self.holdfast_oidc_issuer)):
            parts = urlsplit(url)
            if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
                raise ValueError("HOLDFAST_OIDC_ISSUER and HOLDFAST_OIDC_JWKS_URL must be https: keys come from there")
        if len(self.roles) < len(_ROLES):
            raise ValueError("the three HOLDFAST_OIDC_…_ROLE names must differ")
        return self

    @property
    def is_used(self) -> bool:
        return self.holdfast_oidc_issuer is not None

    @property
    def client_id(self) -> str:
        return self.holdfast_oidc_client_id or self.holdfast_oidc_audience or ""

    @property
    def roles(self) -> dict[str, Role]:
        """Maps the provider's role names to ours."""
        return {getattr(self, f"holdfast_oidc_{role.value}_role"): role for role in _ROLES}


class TaxReportingSettings(BaseSettings):
    """Thresholds for reporting an instructor to tax authorities. Defaults: `models/domain/tax_reporting.py`."""

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", extra="ignore")

    form_1099k_gross_minor: int = _THRESHOLDS.form_1099k_gross_minor
    form_1099k_transactions: int = _THRESHOLDS.form_1099k_transactions
    dac7_consideration_minor: int = _THRESHOLDS.dac7_consideration_minor
    dac7_activities: int = _THRESHOLDS.dac7_activities

    @model_validator(mode="after")
    def _are_valid_thresholds(self) -> Self:
        Thresholds(**self.model_dump())
        return self


@dataclass(frozen=True)
class Settings:
    runtime: RuntimeSettings
    http: HttpSettings
    policy: PolicySettings
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    meeting: MeetingSettings = field(default_factory=MeetingSettings)
    meetings: Meetings | None = None
    documents: DocumentSettings = field(default_factory=DocumentSettings)
    tax_reporting: TaxReportingSettings = field(default_factory=TaxReportingSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)

    @classmethod
    def from_environment(cls) -> Self:
        """Raises `InvalidSettings`."""
        provider = PROVIDER_SETTINGS.get(os.environ.get("HOLDFAST_MEETING_PROVIDER", ""))
        check_settings(
            *(RuntimeSettings, HttpSettings, PolicySettings, IdentitySettings, DocumentSettings, TaxReportingSettings),
            WebhookSettings,
            *(MeetingSettings, provider) if provider else (MeetingSettings,),
        )
        meeting = MeetingSettings()
        return cls(
            runtime=RuntimeSettings(),
            http=HttpSettings(),
            policy=PolicySettings(),
            identity=IdentitySettings(),
            meeting=meeting,
            meetings=meetings_from_environment(meeting),
            documents=DocumentSettings(),
            tax_reporting=TaxReportingSettings(),
            webhooks=WebhookSettings(),
        )

    @property
    def thresholds(self) -> Thresholds:
        return Thresholds(**self.tax_reporting.model_dump())


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


WithSettings = Annotated[Settings, Depends(_settings)]
