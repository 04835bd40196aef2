"""Who is asking: bearer tokens (JWT, HS256) with one of three roles, and the dependencies that demand them.

The secret may be several, with commas between them: the first signs, all verify. That is how one is replaced without
turning away those who hold a token: add the new one at the end, put it first once every process knows it, and take the
old one out once its tokens have run out.

A token is good for one generation of its person's password: docs/decisions/0021-a-new-password-ends-older-tokens.md.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Protocol
from uuid import UUID

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import SecretStr
from sqlmodel import col, select

from api.http.database import Database
from api.http.problems import Kind, Problem
from models.domain.actors import Actor, Role
from models.tables.credentials import Credential

_ALGORITHM = "HS256"
_ROLES = {role.value: role for role in (Role.STUDENT, Role.INSTRUCTOR, Role.OPERATOR)}
_CLAIMS = ["sub", "role", "iat", "exp"]

bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="JWT",
    scheme_name="bearer",
    description="The `access_token` of `POST /v1/auth/token`; where an identity provider is used, one of its tokens.",
)


@dataclass(frozen=True)
class Caller:
    role: Role
    id: UUID
    generation: int = 0
    """Of the password under which the token was given."""

    @property
    def actor(self) -> Actor:
        return Actor(role=self.role, id=self.id)


def signing_keys(secret: str) -> tuple[str, ...]:
    """The secrets in a setting, the signing one first."""
    return tuple(part.strip() for part in secret.split(","))


class Identity(Protocol):
    """Who says whom a token speaks for."""

    async def caller(self, token: str) -> Caller | None:
        """`None` if it is not valid now. Raises the `Problem` for a person who is known and cannot be taken."""


class LocalTokenVerifier:
    """The tokens that a sign-in gives."""

    def __init__(self, secret: SecretStr, database: Database) -> None:
        self._secret = secret
        self._database = database

    async def caller(self, token: str) -> Caller | None:
        caller = read_token(self._secret.get_secret_value(), token)
        # Operators have no password here.
        if caller is None or caller.role is Role.OPERATOR:
            return caller
        of_person = select(Credential.generation).where(col(Credential.person_id) == caller.id)
        async with self._database.reading() as session:
            generation = (await session.exec(of_person)).first()
        return caller if generation in (None, caller.generation) else None


def issue_token(secret: str, role: Role, subject: UUID, lifetime: timedelta, generation: int = 0) -> str:
    """A token for `subject`, signed with the first of the secrets. Raises `ValueError` for a role no person has."""
    if role not in _ROLES.values():
        raise ValueError(f"no token is given to the role {role}")
    now = datetime.now(UTC)
    claims = {"sub": str(subject), "role": role.value, "iat": now, "exp": now + lifetime, "generation": generation}
    key = signing_keys(secret)[0]
    return jwt.encode(claims, key, algorithm=_ALGORITHM, headers={"kid": _key_id(key)})


def read_token(secret: str, token: str) -> Caller | None:
    """Whom a token speaks for; `None` if it is not valid now."""
    try:
        named = jwt.get_unverified_header(token).get("kid")
    except jwt.InvalidTokenError:
        return None
    # A token without a key's name may come from another program that has the secret.
    keys = [key for key in signing_keys(secret) if named is None or named == _key_id(key)]
    return next((caller for key in keys if (caller := _read(key, token))), None)


def _read(key: str, token: str) -> Caller | None:
    try:
        # The algorithm is ours to say: a token's header is the sender's.
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=[_ALGORITHM], options={"require": _CLAIMS})
        return Caller(_ROLES[claims["role"]], UUID(claims["sub"]), claims.get("generation", 0))
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return None


def _key_id(key: str) -> str:
    """A name for the key that tells nothing about it."""
    return hmac.digest(key.encode(), b"holdfast kid", "sha256")[:8].hex()


async def presented(request: Request) -> Caller | None:
    """Whom the request's token speaks for, whatever the route makes of it; `None` without one that can be taken."""
    outcome = await _looked_at(request)
    return outcome if isinstance(outcome, Caller) else None


async def _looked_at(request: Request) -> Caller | Problem | None:
    """Looked at once in a request: it is counted under its caller before its route asks who that is."""
    if not hasattr(request.state, "caller"):
        scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
        identity: Identity = request.app.state.identity
        try:
            request.state.caller = await identity.caller(token) if scheme.lower() == "bearer" else None
        except Problem as problem:
            request.state.caller = problem
    outcome: Caller | Problem | None = request.state.caller
    return outcome


def _one_of(*roles: Role) -> Callable[..., Awaitable[Caller]]:
    async def caller(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> Caller:
        if credentials is None:
            raise Problem(Kind.NOT_SIGNED_IN, headers={"WWW-Authenticate": "Bearer"})
        known = await _looked_at(request)
        if isinstance(known, Problem):
            raise known
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
