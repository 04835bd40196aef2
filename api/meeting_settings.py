"""Where the meetings are, and who may sign for them. Without a provider there are none."""

from datetime import timedelta
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, AnyHttpUrl, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.meeting_provider import JaasMeetings, JitsiMeetings, Meetings
from models.domain.attendance import MeetingProvider

_SECRET_BYTES: Final = 32
"""RFC 7518, section 3.2: a key for HS256 is at least as long as the hash."""

_CONFIG = SettingsConfigDict(env_prefix="HOLDFAST_", extra="ignore", hide_input_in_errors=True)


def _is_safe(url: AnyHttpUrl) -> AnyHttpUrl:
    parts = urlsplit(str(url))
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError("must be https: tokens are sent there")
    return url


def _is_long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value().encode()) < _SECRET_BYTES:
        raise ValueError(f"must have at least {_SECRET_BYTES} bytes")
    return secret


def _is_rsa_key(pem: SecretStr) -> SecretStr:
    try:
        key = load_pem_private_key(pem.get_secret_value().encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("must be an RSA private key in PEM, without a password") from None
    return pem


def _split(secrets: SecretStr) -> tuple[str, ...]:
    return tuple(secret.strip() for secret in secrets.get_secret_value().split(","))


def _without_gaps(secrets: SecretStr) -> SecretStr:
    if not all(_split(secrets)):
        raise ValueError("must not be empty: with an empty secret anybody could sign a meeting's reports")
    return secrets


class JitsiSettings(BaseSettings):
    """A Jitsi Meet of one's own."""

    model_config = _CONFIG

    jitsi_url: Annotated[AnyHttpUrl, AfterValidator(_is_safe)]
    jitsi_app_id: str = Field(min_length=1)
    jitsi_secret: Annotated[SecretStr, AfterValidator(_is_long_enough)]

    @property
    def meetings(self) -> JitsiMeetings:
        return JitsiMeetings(str(self.jitsi_url), self.jitsi_app_id, self.jitsi_secret.get_secret_value())


class JaasSettings(BaseSettings):
    """8x8's Jitsi as a Service."""

    model_config = _CONFIG

    jaas_app_id: str = Field(min_length=1)
    jaas_key_id: str
    jaas_private_key: Annotated[SecretStr, AfterValidator(_is_rsa_key)]

    @model_validator(mode="after")
    def _key_is_the_apps(self) -> Self:
        if not self.jaas_key_id.startswith(f"{self.jaas_app_id}/"):
            raise ValueError("HOLDFAST_JAAS_KEY_ID must begin with HOLDFAST_JAAS_APP_ID and a slash")
        return self

    @property
    def meetings(self) -> JaasMeetings:
        return JaasMeetings(self.jaas_app_id, self.jaas_key_id, self.jaas_private_key.get_secret_value())


Window = Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(hours=12))]


class MeetingSettings(BaseSettings):
    """When people may join, and whose reports are believed. Windows are ISO 8601 durations."""

    model_config = _CONFIG

    meeting_provider: MeetingProvider | None = None
    meeting_opens_before: Window = timedelta(minutes=15)
    """The session's start."""
    meeting_grace: Window = timedelta(minutes=30)
    """After the session's end, in which people may still join, and stay."""
    meeting_webhook_secret: Annotated[SecretStr, AfterValidator(_without_gaps)] | None = None
    """One secret, or several with commas between them while it is replaced. None: no report is believed."""

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        return _split(self.meeting_webhook_secret) if self.meeting_webhook_secret else ()


def meetings_from_environment(settings: MeetingSettings) -> Meetings | None:
    """Raises pydantic's `ValidationError` where the provider's own settings are missing or unusable."""
    match settings.meeting_provider:
        case MeetingProvider.JITSI:
            return JitsiSettings().meetings
        case MeetingProvider.JAAS:
            return JaasSettings().meetings
        case None:
            return None
