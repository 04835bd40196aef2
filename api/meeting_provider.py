"""The token with which one person enters one meeting, and the link that holds it. Pure: no clock, no settings.

Jitsi's own server takes HS256 (lib-jitsi-meet, "JWT token authentication Prosody plugin"; whose part is `affiliation`:
jitsi-contrib's `token_affiliation`); 8x8's Jitsi as a Service takes RS256 (8x8, "The Jitsi JSON Web Token").
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote, urlsplit
from uuid import UUID

import jwt

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
