"""What a meeting's provider sends: an event, and the header that signs it. As 8x8's Jitsi as a Service has both."""

import hmac
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from models.domain.attendance import AttendanceKind

_KINDS = {
    "PARTICIPANT_JOINED": AttendanceKind.JOINED,
    "PARTICIPANT_LEFT": AttendanceKind.LEFT,
    "RECORDING_UPLOADED": AttendanceKind.RECORDING_UPLOADED,
}
_LONGEST = 255


class Report(BaseModel):
    """What is read of an event (8x8, "Payload structure").

    Names, addresses and a link that lets anyone into the recording stand in it, too: none of them is read.
    """

    model_config = ConfigDict(alias_generator=to_camel)

    idempotency_key: str = Field(min_length=1, max_length=_LONGEST, pattern=r"^[^\x00]*$")
    event_type: str
    timestamp: int = Field(ge=0, lt=10**14)
    """Milliseconds since 1970."""
    fqn: str | None = Field(default=None, pattern=r"^[^\x00]*$")
    """The app's id, a slash, and the room."""
    data: Any = None

    @property
    def kind(self) -> AttendanceKind | None:
        """`None` for what does not tell who was there."""
        return _KINDS.get(self.event_type)

    @property
    def room(self) -> str:
        return (self.fqn or "").rpartition("/")[2].lower()

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.timestamp / 1000, UTC)

    @property
    def person_id(self) -> UUID | None:
        """The `context.user.id` of the token with which they came."""
        try:
            return UUID(self.data["id"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    @property
    def connection(self) -> str | None:
        jid = self.data.get("participantJid") if isinstance(self.data, dict) else None
        return jid.replace("\x00", "")[:_LONGEST] if isinstance(jid, str) else None


def is_signed(body: bytes, header: str, secrets: tuple[str, ...]) -> bool:
    """Whether the header, `t=…,v1=…`, signs the body with one of the secrets.

    However old it is: a report that comes again is there already, and one that comes late is still true.
    """
    parts = [part.strip().partition("=") for part in header.split(",")]
    time = next((value for name, _, value in parts if name == "t"), "")
    signatures = [value.encode() for name, _, value in parts if name == "v1"]
    return any(
        hmac.compare_digest(signature(body, time, secret).encode(), given) for secret in secrets for given in signatures
    )


def signature(body: bytes, time: str, secret: str) -> str:
    """HMAC with SHA-256 over time, point and body, in base64 (8x8, "Check the webhook signatures")."""
    return b64encode(hmac.digest(secret.encode(), time.encode() + b"." + body, "sha256")).decode()
