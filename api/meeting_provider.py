"""The token with which one person enters one meeting, and the link that holds it. Pure: no clock, no settings.

Jitsi's own server takes HS256 (lib-jitsi-meet, "JWT token authentication Prosody plugin"; whose part is `affiliation`:
jitsi-contrib's `token_affiliation`); 8x8's Jitsi as a Service takes RS256 (8x8, "The Jitsi JSON Web Token").
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
"""A session is between two people: nobody dials in, and nothing goes out."""


@dataclass(frozen=True)
class Admission:
    """Who may enter which room, as what, from when to when."""

    room: str
    person_id: UUID
    name: str
    """Shown to the other side. No address: the other side would see it, too."""
    is_moderator: bool
    is_recorded: bool
    not_before: datetime
    expires_at: datetime


class Meetings(Protocol):
    """One provider's meetings."""

    @property
    def provider(self) -> MeetingProvider: ...

    def link(self, admission: Admission) -> str:
        """Whoever has it is let in as that person."""


@dataclass(frozen=True)
class JitsiMeetings:
    """A Jitsi Meet of one's own."""

    url: str
    app_id: str
    secret: str = field(repr=False)
    provider = MeetingProvider.JITSI

    def link(self, admission: Admission) -> str:
        # The XMPP domain of Jitsi's own packages is the host's name.
        claims = _claims(admission, audience=self.app_id, issuer=self.app_id, subject=urlsplit(self.url).hostname or "")
        claims["context"]["user"]["affiliation"] = "owner" if admission.is_moderator else "member"
        return _link(self.url.rstrip("/"), admission.room, jwt.encode(claims, self.secret, algorithm="HS256"))


@dataclass(frozen=True)
class JaasMeetings:
    """8x8's Jitsi as a Service."""

    app_id: str
    key_id: str
    """As 8x8's console shows it: the app's id, a slash, and the key's own."""
    private_key: str = field(repr=False)
    """PEM."""
    provider = MeetingProvider.JAAS

    def link(self, admission: Admission) -> str:
        claims = _claims(admission, audience="jitsi", issuer="chat", subject=self.app_id)
        claims["context"]["user"]["moderator"] = _word(admission.is_moderator)
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
            # The provider's reports name people by this id.
            "user": {"id": str(admission.person_id), "name": admission.name},
            "features": {"recording": _word(may_record)} | {feature: _word(False) for feature in _CLOSED_FEATURES},
        },
    }


def _word(value: bool) -> str:
    """Both kinds of server want these as strings."""
    return "true" if value else "false"


def _link(place: str, room: str, token: str) -> str:
    return f"{place}/{quote(room)}?jwt={token}"


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
