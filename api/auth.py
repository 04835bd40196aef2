"""Who is asking: bearer tokens (JWT, HS256) with one of three roles, and the dependencies that demand them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import Kind, Problem
from models.terms import Actor, Role

_ALGORITHM = "HS256"
_ROLES = {role.value: role for role in (Role.STUDENT, Role.INSTRUCTOR, Role.OPERATOR)}
_CLAIMS = ["sub", "role", "iat", "exp"]

bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", scheme_name="bearer")


@dataclass(frozen=True)
class Caller:
    role: Role
    id: UUID

    @property
    def actor(self) -> Actor:
        return Actor(role=self.role, id=self.id)


def issue_token(secret: str, role: Role, subject: UUID, lifetime: timedelta) -> str:
    """A token for `subject`. Raises `ValueError` for a role that no person has."""
    if role not in _ROLES.values():
        raise ValueError(f"no token is given to the role {role}")
    now = datetime.now(UTC)
    claims = {"sub": str(subject), "role": role.value, "iat": now, "exp": now + lifetime}
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def read_token(secret: str, token: str) -> Caller | None:
    """Whom a token speaks for; `None` if it is not valid now."""
    try:
        # The algorithm is ours to say: a token's header is the sender's.
        claims: dict[str, Any] = jwt.decode(token, secret, algorithms=[_ALGORITHM], options={"require": _CLAIMS})
        return Caller(role=_ROLES[claims["role"]], id=UUID(claims["sub"]))
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return None


def _one_of(*roles: Role) -> Callable[..., Awaitable[Caller]]:
    async def caller(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> Caller:
        if credentials is None:
            raise Problem(Kind.NOT_SIGNED_IN, headers={"WWW-Authenticate": "Bearer"})
        secret: str = request.app.state.settings.door.holdfast_token_secret.get_secret_value()
        known = read_token(secret, credentials.credentials)
        if known is None:
            raise Problem(
                Kind.NOT_SIGNED_IN,
                "The token is not valid, or no longer.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        if known.role not in roles:
            raise Problem(Kind.WRONG_ROLE, f"This is for: {', '.join(roles)}.")
        return known

    return caller


AsStudent = Annotated[Caller, Depends(_one_of(Role.STUDENT))]
AsInstructor = Annotated[Caller, Depends(_one_of(Role.INSTRUCTOR))]
AsOperator = Annotated[Caller, Depends(_one_of(Role.OPERATOR))]
AsEitherSide = Annotated[Caller, Depends(_one_of(Role.STUDENT, Role.INSTRUCTOR))]
AsAnyRole = Annotated[Caller, Depends(_one_of(Role.STUDENT, Role.INSTRUCTOR, Role.OPERATOR))]
