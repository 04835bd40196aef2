"""Meeting links: a signed token that lets one person into one meeting. Also the settings of the meeting provider.

A self-hosted Jitsi server verifies HS256 (lib-jitsi-meet, "JWT token authentication Prosody plugin"; the moderator is
set by `affiliation`, jitsi-contrib's `token_affiliation`). 8x8's Jitsi as a Service verifies RS256 (8x8, "The Jitsi
JSON Web Token").
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Protocol, Self
from urllib.parse import quote, urlsplit
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, AnyHttpUrl, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.domain.attendance import MeetingProvider

_JAAS_URL = "https://8x8.vc"

_CLOSED_FEATURES = ("livestreaming", "transcription", "sip-inbound-call", "sip-outbound-call", "inbound-call",
                    "outbound-call")  # fmt: skip
"""A session is between two people: no dial-in, no dial-out, no streaming."""


@dataclass(frozen=True)
class Admission:
    """Who may join which room, in what role, and when."""

    room: str
    person_id: UUID
    name: str
    """Shown to the other side. The mail address is left out, because the other side would see it too."""
    is_moderator: bool
    is_recorded: bool
    not_before: datetime
    expires_at: datetime


class Meetings(Protocol):
    """The meetings of one provider."""

    @property
    def provider(self) -> MeetingProvider: ...

    def link(self, admission: Admission) -> str:
        """A link that lets anyone who has it in as that person."""


@dataclass(frozen=True)
class JitsiMeetings:
    """A self-hosted Jitsi Meet."""

    url: str
    app_id: str
    secret: str = field(repr=False)
    provider = MeetingProvider.JITSI

    def link(self, admission: Admission) -> str:
        # Jitsi's Debian packages use the host name as the XMPP domain.
        claims = _claims(admission, audience=self.app_id, issuer=self.app_id, subject=urlsplit(self.url).hostname or "")
        claims["context"]["user"]["affiliation"] = "owner" if admission.is_moderator else "member"
        return _link(self.url.rstrip("/"), admission.room, jwt.encode(claims, self.secret, algorithm="HS256"))


@dataclass(frozen=True)
class JaasMeetings:
    """8x8's Jitsi as a Service."""

    app_id: str
    key_id: str
    """As shown in 8x8's console: `<app id>/<key id>`."""
    private_key: str = field(repr=False)
    """PEM."""
    provider = MeetingProvider.JAAS

    def link(self, admission: Admission) -> str:
        claims = _claims(admission, audience="jitsi", issuer="chat", subject=self.app_id)
        claims["context"]["user"]["moderator"] = _flag(admission.is_moderator)
        token = jwt.encode(claims, self.private_key, algorithm="RS256", headers={"kid": self.key_id})
        return _link(f"{_JAAS_URL}/{quote(self.app_id)}", admission.room, token)


def _claims(admission: Admission, *, audience: str, issuer: str, subject: str) -> dict[str, Any]:
    may_record = admission.is_recorded and admission.is_moderator
    return {
        "aud": audience,
        "iss": issuer,
        "sub": subject,
        "room": admission.room,
        "nbf": admission.not_before,
        "exp": admission.expires_at,
        "context": {
            # The provider's webhook reports identify people by this id.
            "user": {"id": str(admission.person_id), "name": admission.name},
            "features": {"recording": _flag(may_record)} | {feature: _flag(False) for feature in _CLOSED_FEATURES},
        },
    }


def _flag(value: bool) -> str:
    """Both servers expect booleans as strings."""
    return "true" if value else "false"


def _link(base_url: str, room: str, token: str) -> str:
    return f"{base_url}/{quote(room)}?jwt={token}"


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


def _no_empty_secret(secrets: SecretStr) -> SecretStr:
    if not all(_split(secrets)):
        raise ValueError("must not be empty: with an empty secret anybody could sign a meeting's reports")
    return secrets


class JitsiSettings(BaseSettings):
    """A self-hosted Jitsi Meet."""

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


PROVIDER_SETTINGS: dict[str, type[BaseSettings]] = {
    MeetingProvider.JITSI: JitsiSettings,
    MeetingProvider.JAAS: JaasSettings,
}

Window = Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(hours=12))]


class MeetingSettings(BaseSettings):
    """When people may join, and how the provider's reports are verified. Windows are ISO 8601 durations."""

    model_config = _CONFIG

    meeting_provider: MeetingProvider | None = None
    meeting_opens_before: Window = timedelta(minutes=15)
    """Before the session's start."""
    meeting_grace: Window = timedelta(minutes=30)
    """After the session's end. Until then people may still join and stay."""
    meeting_recording_kept_for: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=365))] = timedelta(days=1)
    """How long the provider keeps a recording; its link is shown until then. 8x8 keeps it for a day."""
    meeting_webhook_secret: Annotated[SecretStr, AfterValidator(_no_empty_secret)] | None = None
    """One secret, or several separated by commas during a rotation. `None`: every report is refused."""

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        return _split(self.meeting_webhook_secret) if self.meeting_webhook_secret else ()


def meetings_from_environment(settings: MeetingSettings) -> Meetings | None:
    """The configured provider. Raises pydantic's `ValidationError` if its settings are missing or unusable."""
    match settings.meeting_provider:
        case MeetingProvider.JITSI:
            return JitsiSettings().meetings
        case MeetingProvider.JAAS:
            return JaasSettings().meetings
        case None:
            return None
