"""The API's own settings, from the environment. What is missing or too weak stops the start-up."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Self
from urllib.parse import urlsplit

from fastapi import Depends, Request
from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.http.auth import signing_keys
from api.meeting_provider import Meetings, MeetingSettings, meetings_from_environment
from models.domain.actors import Role
from models.domain.tax_reporting import Thresholds
from models.settings import DocumentSettings, PolicySettings, RuntimeSettings

_THRESHOLDS = Thresholds()
_ROLES = (Role.STUDENT, Role.INSTRUCTOR, Role.OPERATOR)

_TOKEN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: a key for HS256 is at least as long as the hash."""


def _long_enough(secret: SecretStr) -> SecretStr:
    if any(len(key.encode()) < _TOKEN_SECRET_BYTES for key in signing_keys(secret.get_secret_value())):
        raise ValueError(f"must have at least {_TOKEN_SECRET_BYTES} bytes; with commas, each of the secrets")
    return secret


def _without_gaps(secrets: SecretStr) -> SecretStr:
    if not all(secret.strip() for secret in secrets.get_secret_value().split(",")):
        raise ValueError("must not be empty: with an empty secret anybody could sign Stripe's events")
    return secrets


def _split(secrets: SecretStr) -> tuple[str, ...]:
    return tuple(secret.strip() for secret in secrets.get_secret_value().split(","))


_ORIGIN = re.compile(r"https?://(\[[0-9a-f:]+\]|[a-z0-9-]+(\.[a-z0-9-]+)*)(:[0-9]{1,5})?")


def _listed(origins: object) -> object:
    return [origin.strip() for origin in origins.split(",") if origin.strip()] if isinstance(origins, str) else origins


def _is_origin(origin: str) -> str:
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("must be origins as browsers send them, such as https://app.example: no path, no wildcard")
    return origin


Origin = Annotated[str, AfterValidator(_is_origin)]


class HttpSettings(BaseSettings):
    """Who is let in, and where the world finds the API."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    holdfast_token_secret: Annotated[SecretStr, AfterValidator(_long_enough)]
    """One secret, or several with commas between them: the first signs, all verify."""
    holdfast_token_lifetime: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=1))] = timedelta(
        hours=1
    )
    """Of the tokens that a sign-in gives. Only a new password calls them back."""
    stripe_webhook_secret: Annotated[SecretStr, AfterValidator(_without_gaps)]
    """One secret, or several with commas between them while Stripe's endpoint is given a new one."""
    stripe_connect_webhook_secret: Annotated[SecretStr, AfterValidator(_without_gaps)]
    """The same, of the endpoint for events of connected accounts."""
    holdfast_public_url: AnyHttpUrl
    holdfast_cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_listed)] = ()
    """Where the pages come from that browsers may let read our answers. Commas between them; none if not given."""

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        return _split(self.stripe_webhook_secret)

    @property
    def connect_webhook_secrets(self) -> tuple[str, ...]:
        return _split(self.stripe_connect_webhook_secret)


class IdentitySettings(BaseSettings):
    """An OpenID Connect provider, in place of our own sign-in. Without an issuer there is none."""

    model_config = SettingsConfigDict(extra="ignore")

    holdfast_oidc_issuer: str | None = None
    """As it stands in the tokens' `iss`, to the letter."""
    holdfast_oidc_audience: str | None = None
    holdfast_oidc_jwks_url: AnyHttpUrl | None = None
    """Asked of the issuer if not given."""
    holdfast_oidc_role_claim: str = Field(default="roles", min_length=1)
    holdfast_oidc_student_role: str = Field(default="student", min_length=1)
    holdfast_oidc_instructor_role: str = Field(default="instructor", min_length=1)
    holdfast_oidc_operator_role: str = Field(default="operator", min_length=1)

    @model_validator(mode="after")
    def _is_whole_and_safe(self) -> Self:
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
    def roles(self) -> dict[str, Role]:
        """Ours by the provider's names."""
        return {getattr(self, f"holdfast_oidc_{role.value}_role"): role for role in _ROLES}


class TaxReportingSettings(BaseSettings):
    """Thresholds for reporting an instructor to tax authorities. Defaults: `models/domain/tax_reporting.py`."""

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", extra="ignore")

    form_1099k_gross_minor: int = _THRESHOLDS.form_1099k_gross_minor
    form_1099k_transactions: int = _THRESHOLDS.form_1099k_transactions
    dac7_consideration_minor: int = _THRESHOLDS.dac7_consideration_minor
    dac7_activities: int = _THRESHOLDS.dac7_activities

    @model_validator(mode="after")
    def _can_be_thresholds(self) -> Self:
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

    @classmethod
    def from_environment(cls) -> Self:
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
        )

    @property
    def thresholds(self) -> Thresholds:
        return Thresholds(**self.tax_reporting.model_dump())


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


WithSettings = Annotated[Settings, Depends(_settings)]
