"""Authentication: bearer tokens (JWT, HS256) with one of three roles, and the dependencies that require them.

The setting can hold several secrets, separated by commas: the first signs, all of them verify. To rotate a secret
without invalidating tokens in use, add the new one at the end, move it to the front once every process has it, and
remove the old one once its tokens have expired.

A student's or instructor's token is valid for one generation of their credential:
docs/decisions/0021-a-new-password-ends-older-tokens.md. An operator's is valid until the operator is revoked:
docs/decisions/0034-operators-are-rows.md.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Protocol
from uuid import UUID

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import SecretStr
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Mapped
from sqlmodel import col, exists, or_, select

from api.http.database import Database
from api.http.problems import Kind, Problem
from models.domain.actors import Actor, Role
from models.domain.messages import Channel
from models.domain.scopes import Scope, required_scope
from models.tables.credentials import Credential
from models.tables.operators import Operator
from models.tables.people import Instructor, Student

_ALGORITHM = "HS256"
_ROLES = {role.value: role for role in (Role.STUDENT, Role.INSTRUCTOR, Role.OPERATOR)}
_ISSUER, _AUDIENCE = "holdfast", "holdfast-api"
_CLAIMS = ["iss", "aud", "sub", "role", "iat", "exp"]
_LONGEST_LIFETIME = timedelta(days=1)
"""A token that is valid for longer is refused, whoever signed it."""

BY_AGENT = "holdfast.by_agent"
"""In the ASGI scope of a request that the agents' door makes. A client cannot set it."""

bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="JWT",
    scheme_name="bearer",
    description="The `access_token` from `POST /v1/auth/token`, or the identity provider's token if one is configured. "
    "Or a service token, which needs the operation's `x-required-scope`.",
)


@dataclass(frozen=True)
class Caller:
    role: Role
    id: UUID
    generation: int = 0
    """Generation of the credential that the token was issued for."""
    token_id: UUID | None = None
    """The service token, if it is a program that acts for the person."""
    scopes: frozenset[Scope] | None = None
    """What the service token allows; `None` for the person themselves."""
    channel: Channel = Channel.API

    @property
    def actor(self) -> Actor:
        return Actor(role=self.role, id=self.id, token_id=self.token_id)


def signing_keys(secret: str) -> tuple[str, ...]:
    """Split the setting into its secrets. The first one signs."""
    return tuple(part.strip() for part in secret.split(","))


class TokenVerifier(Protocol):
    """Turns a bearer token into its caller."""

    async def caller(self, token: str) -> Caller | None:
        """`None` if the token is not valid now. Raises a `Problem` if it is valid but its person cannot be let in."""


class LocalTokenVerifier:
    """Verifies the tokens that `POST /v1/auth/token` issues."""

    def __init__(self, secret: SecretStr, database: Database) -> None:
        self._secret = secret
        self._database = database

    async def caller(self, token: str) -> Caller | None:
        caller = read_token(self._secret.get_secret_value(), token)
        if caller is None:
            return None
        if caller.role is Role.OPERATOR:
            return caller if await self._is_operator(caller.id) else None
        generation = select(Credential.generation).where(col(Credential.person_id) == caller.id).scalar_subquery()
        async with self._database.reading() as session:
            current, suspended = (await session.exec(select(generation, is_suspended(caller.id)))).one()
        return caller if current in (None, caller.generation) and not suspended else None

    async def _is_operator(self, id: UUID) -> bool:
        current = select(Operator.id).where(col(Operator.id) == id, col(Operator.revoked_at).is_(None))
        async with self._database.reading() as session:
            return (await session.exec(current)).first() is not None


def is_suspended(person_id: UUID | Mapped[UUID]) -> ColumnElement[bool]:
    """Whether an operator has suspended the student or instructor, as an SQL condition."""
    student = exists().where(col(Student.id) == person_id, col(Student.suspended_at).is_not(None))
    return or_(student, exists().where(col(Instructor.id) == person_id, col(Instructor.suspended_at).is_not(None)))


def issue_token(secret: str, role: Role, subject: UUID, lifetime: timedelta, generation: int = 0) -> str:
    """A token for `subject`, signed with the first secret. Raises `ValueError` for a role that no person has."""
    if role not in _ROLES.values():
        raise ValueError(f"no token is given to the role {role}")
    now = datetime.now(UTC)
    claims = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "sub": str(subject),
        "role": role.value,
        "iat": now,
        "exp": now + lifetime,
        "generation": generation,
    }
    key = signing_keys(secret)[0]
    return jwt.encode(claims, key, algorithm=_ALGORITHM, headers={"kid": _key_id(key)})


def read_token(secret: str, token: str) -> Caller | None:
    """The token's caller; `None` if it is not valid now."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except jwt.InvalidTokenError:
        return None
    # A token without a `kid` may come from another program that has the secret.
    keys = [key for key in signing_keys(secret) if kid is None or kid == _key_id(key)]
    return next((caller for key in keys if (caller := _decode(key, token))), None)


def _decode(key: str, token: str) -> Caller | None:
    try:
        # Never take the algorithm from the token's header: the sender controls it.
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=[_ALGORITHM], issuer=_ISSUER, audience=_AUDIENCE, options={"require": _CLAIMS}
        )
        if claims["exp"] - claims["iat"] > _LONGEST_LIFETIME.total_seconds():
            return None
        return Caller(_ROLES[claims["role"]], UUID(claims["sub"]), claims.get("generation", 0))
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return None


def _key_id(key: str) -> str:
    """The `kid` of a key. It reveals nothing about the key itself."""
    return hmac.digest(key.encode(), b"holdfast kid", "sha256")[:8].hex()


async def authenticated_caller(request: Request) -> Caller | None:
    """The caller of any request, also on routes that do not require one; `None` without a valid token."""
    outcome = await _verify_once(request)
    return outcome if isinstance(outcome, Caller) else None


async def is_still(caller: Caller, request: Request) -> bool:
    """Whether the request's token is still the caller's. For responses that go on long after the first check."""
    return await _verify(request) == caller


async def _verify_once(request: Request) -> Caller | Problem | None:
    """Rate limiting and the route both need the caller, so the result is kept on the request."""
    if not hasattr(request.state, "caller"):
        request.state.caller = await _verify(request)
    outcome: Caller | Problem | None = request.state.caller
    return outcome


async def _verify(request: Request) -> Caller | Problem | None:
    scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
    verifier: TokenVerifier = request.app.state.identity
    try:
        caller = await verifier.caller(token) if scheme.lower() == "bearer" else None
    except Problem as problem:
        return problem
    return replace(caller, channel=_channel(caller, request)) if caller else None


def _channel(caller: Caller, request: Request) -> Channel:
    if caller.token_id is None:
        return Channel.API
    return Channel.AGENT if request.scope.get(BY_AGENT) else Channel.SERVICE


def _check_scope(caller: Caller, request: Request) -> None:
    """Raises the 403 `Problem` if a service token does not allow the route."""
    if caller.scopes is None:
        return
    scope = required_scope(request.method, request.scope["route"].path)
    if scope is None:
        raise Problem(Kind.SCOPE_MISSING, "Only people can do this, not a program with a service token.")
    if scope not in caller.scopes:
        raise Problem(Kind.SCOPE_MISSING, f"The service token needs the scope `{scope}`.", scope=scope)


def _require_role(*roles: Role) -> Callable[..., Awaitable[Caller]]:
    async def caller(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> Caller:
        if credentials is None:
            raise Problem(Kind.NOT_SIGNED_IN, headers={"WWW-Authenticate": "Bearer"})
        outcome = await _verify_once(request)
        if isinstance(outcome, Problem):
            raise outcome
        if outcome is None:
            raise Problem(
                Kind.NOT_SIGNED_IN,
                "The token is invalid or has expired. Sign in again.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        if outcome.role not in roles:
            raise Problem(Kind.WRONG_ROLE, f"This is for: {', '.join(roles)}.")
        _check_scope(outcome, request)
        return outcome

    return caller


AsStudent = Annotated[Caller, Depends(_require_role(Role.STUDENT))]
AsInstructor = Annotated[Caller, Depends(_require_role(Role.INSTRUCTOR))]
AsOperator = Annotated[Caller, Depends(_require_role(Role.OPERATOR))]
AsEitherSide = Annotated[Caller, Depends(_require_role(Role.STUDENT, Role.INSTRUCTOR))]
AsAnyRole = Annotated[Caller, Depends(_require_role(Role.STUDENT, Role.INSTRUCTOR, Role.OPERATOR))]
