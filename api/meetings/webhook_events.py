"""The meeting provider's events and their signature, in the format of 8x8's Jitsi as a Service."""

import hmac
import re
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
_MAX_LENGTH = 255
_LINK = re.compile(r"https://[\x21-\x7e]{1,4000}")


class Report(BaseModel):
    """The fields of an event that are used (8x8, "Payload structure").

    Events also contain names and mail addresses. They are not read.
    """

    model_config = ConfigDict(alias_generator=to_camel)

    idempotency_key: str = Field(min_length=1, max_length=_MAX_LENGTH, pattern=r"^[^\x00]*$")
    event_type: str
    timestamp: int = Field(ge=0, lt=10**14)
    """Unix time in milliseconds."""
    fqn: str | None = Field(default=None, pattern=r"^[^\x00]*$")
    """`{app id}/{room}`."""
    data: Any = None

    @property
    def kind(self) -> AttendanceKind | None:
        """`None` for events that are not about attendance."""
        return _KINDS.get(self.event_type)

    @property
    def room(self) -> str:
        return (self.fqn or "").rpartition("/")[2].lower()

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.timestamp / 1000, UTC)

    @property
    def person_id(self) -> UUID | None:
        """The `context.user.id` of the token that they joined with."""
        try:
            return UUID(self.data["id"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    @property
    def connection(self) -> str | None:
        jid = self.data.get("participantJid") if isinstance(self.data, dict) else None
        return jid.replace("\x00", "")[:_MAX_LENGTH] if isinstance(jid, str) else None

    @property
    def recording_url(self) -> str | None:
        """A link that opens the recording without signing in."""
        link = self.data.get("preAuthenticatedLink") if isinstance(self.data, dict) else None
        return link if isinstance(link, str) and _LINK.fullmatch(link) else None


def is_signed(body: bytes, header: str, secrets: tuple[str, ...]) -> bool:
    """Whether the header, `t=…,v1=…`, signs the body with one of the secrets.

    The timestamp is not checked for age: a replayed event is a duplicate, and a late one is still true.
    """
    parts = [part.strip().partition("=") for part in header.split(",")]
    time = next((value for name, _, value in parts if name == "t"), "")
    signatures = [value.encode() for name, _, value in parts if name == "v1"]
    return any(
        hmac.compare_digest(signature(body, time, secret).encode(), sent) for secret in secrets for sent in signatures
    )


def signature(body: bytes, time: str, secret: str) -> str:
    """Base64 of the HMAC-SHA256 over `{time}.{body}` (8x8, "Check the webhook signatures")."""
    return b64encode(hmac.digest(secret.encode(), time.encode() + b"." + body, "sha256")).decode()
