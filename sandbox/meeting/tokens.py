"""What a Jitsi server checks of a token, and reads from it."""

from dataclasses import dataclass
from typing import Any

import jwt

_REQUIRED = ["aud", "iss", "sub", "room", "exp"]


class Turned(Exception):
    """Away, and why."""


@dataclass(frozen=True)
class Participant:
    id: str
    name: str
    is_moderator: bool
    may_record: bool


def participant(token: str, room: str, app_id: str, secret: str, host: str) -> Participant:
    """Whom the token lets in, as Prosody's `token_verification` and `token_affiliation` see it. Raises `Turned`."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token, secret, algorithms=["HS256"], audience=app_id, issuer=app_id, options={"require": _REQUIRED}
        )
    except jwt.InvalidTokenError as error:
        raise Turned(str(error)) from error
    if claims["room"] != room:
        raise Turned("The token is for another room")
    if claims["sub"] != host:
        raise Turned("The token is for another server")
    user, features = claims["context"]["user"], claims["context"]["features"]
    is_moderator = user["affiliation"] == "owner"
    return Participant(
        id=user["id"],
        name=user["name"],
        is_moderator=is_moderator,
        may_record=is_moderator and features["recording"] == "true",
    )
