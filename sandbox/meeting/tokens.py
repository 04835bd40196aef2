"""Verifies a meeting token as a Jitsi server does."""

from dataclasses import dataclass
from typing import Any

import jwt

_REQUIRED_CLAIMS = ["aud", "iss", "sub", "room", "exp"]


class AccessDenied(Exception):
    """The token does not admit to the room. The message has the reason."""


@dataclass(frozen=True)
class Participant:
    id: str
    name: str
    is_moderator: bool
    may_record: bool


def verify_token(token: str, room: str, app_id: str, secret: str, host: str, *, is_inside: bool = False) -> Participant:
    """The participant that the token admits to the room. Raises `AccessDenied`.

    Its expiry no longer counts once the participant `is_inside`. Source: Prosody's `token_verification` and
    `token_affiliation`.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            audience=app_id,
            issuer=app_id,
            options={"require": _REQUIRED_CLAIMS, "verify_exp": not is_inside},
        )
    except jwt.InvalidTokenError as error:
        raise AccessDenied(str(error)) from error
    if claims["room"] != room:
        raise AccessDenied("The token is for another room")
    if claims["sub"] != host:
        raise AccessDenied("The token is for another server")
    user, features = claims["context"]["user"], claims["context"]["features"]
    is_moderator = user["affiliation"] == "owner"
    return Participant(
        id=user["id"],
        name=user["name"],
        is_moderator=is_moderator,
        may_record=is_moderator and features["recording"] == "true",
    )
