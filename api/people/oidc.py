"""Tokens of an OpenID Connect identity provider in place of our own: RS256 or ES256, verified with its published keys.

Sources: OpenID Connect Core 1.0 (ID token validation), Discovery 1.0, RFC 7517 (JWK), RFC 8725 (JWT best practices).
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import jwt
from pydantic import TypeAdapter, ValidationError
from sqlmodel import select

from api.http.auth import Caller, is_suspended
from api.http.database import Database
from api.http.problems import Kind, Problem, unavailable
from api.people import queries
from api.people.schemas import Language, Name, TimeZone, address
from api.settings import IdentitySettings
from models.domain.actors import Actor, Role, SignUpRole
from models.domain.ids import person_id
from models.tables.people import Instructor, Student

_ALGORITHMS = ["RS256", "ES256"]
_REQUIRED = ["iss", "sub", "aud", "exp", "iat"]
_LEEWAY_SECONDS = 30

log = logging.getLogger("holdfast.api")


class ProviderUnreachable(Exception):
    """The provider's keys cannot be fetched, and none are cached."""


async def discover(client: httpx.AsyncClient, settings: IdentitySettings) -> dict[str, Any]:
    """The provider's metadata. Raises `httpx.HTTPError` or `ValueError`."""
    issuer = settings.holdfast_oidc_issuer
    assert issuer is not None
    response = await client.get(issuer.rstrip("/") + "/.well-known/openid-configuration")
    metadata: dict[str, Any] = response.raise_for_status().json()
    if metadata["issuer"] != issuer:
        raise ValueError("another issuer")
    return metadata


class PublishedKeys:
    """The provider's keys, fetched again when they are old or a token names an unknown key id.

    Anyone can send a token with an unknown key id, so fetches are limited to one every `MIN_INTERVAL_SECONDS`. Old keys
    stay in use while the provider is down.
    """

    MAX_AGE_SECONDS = 3600.0
    MIN_INTERVAL_SECONDS = 30.0

    def __init__(self, settings: IdentitySettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._attempted_at = float("-inf")
        self._fetch_lock = asyncio.Lock()

    async def key(self, kid: str | None) -> jwt.PyJWK | None:
        """Raises `ProviderUnreachable`."""
        if kid not in self._keys or self._clock() - self._fetched_at > self.MAX_AGE_SECONDS:
            async with self._fetch_lock:
                await self._fetch_if_due(kid)
        return self._keys.get(kid)

    async def _fetch_if_due(self, kid: str | None) -> None:
        now = self._clock()
        is_known = kid in self._keys and now - self._fetched_at <= self.MAX_AGE_SECONDS
        if is_known or now - self._attempted_at < self.MIN_INTERVAL_SECONDS:
            if not self._keys:
                raise ProviderUnreachable
            return
        self._attempted_at = now
        try:
            self._keys = await self._fetch()
            self._fetched_at = now
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("the identity provider's keys could not be fetched: %s", type(error).__name__)
            if not self._keys:
                raise ProviderUnreachable from error

    async def _fetch(self) -> dict[str | None, jwt.PyJWK]:
        async with httpx.AsyncClient(timeout=5) as client:
            url = self._settings.holdfast_oidc_jwks_url or (await discover(client, self._settings))["jwks_uri"]
            response = (await client.get(str(url))).raise_for_status()
        signing = [key for key in response.json()["keys"] if key.get("use", "sig") == "sig"]
        return {key.key_id: key for key in jwt.PyJWKSet.from_dict({"keys": signing}).keys}


class IdentityProvider:
    """Identifies people by issuer and subject. A row is created with the first request in each role."""

    def __init__(self, settings: IdentitySettings, database: Database, keys: PublishedKeys | None = None) -> None:
        self._settings = settings
        self._database = database
        self._keys = keys or PublishedKeys(settings)

    async def caller(self, token: str) -> Caller | None:
        """Raises the 403 `Problem` for a valid token whose person cannot use the API, the 503 one without any keys."""
        claims = await self.claims(token, self._settings.holdfast_oidc_audience)
        if claims is None:
            return None
        role = self._role(claims)
        caller = Caller(role=role, id=person_id(claims["iss"], claims["sub"]))
        if role is not Role.OPERATOR:
            await self._ensure_row(SignUpRole(role.value), caller, claims)
            async with self._database.reading() as session:
                if (await session.exec(select(is_suspended(caller.id)))).one():
                    raise Problem(Kind.ACCOUNT_SUSPENDED, "Contact support.")
        return caller

    async def claims(self, token: str, audience: str | None) -> dict[str, Any] | None:
        """`None` unless the provider signed the token for this audience, and it is valid now."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in _ALGORITHMS:
                return None
            key = await self._keys.key(header.get("kid"))
            if key is None or key.algorithm_name != header["alg"]:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[header["alg"]],
                audience=audience,
                issuer=self._settings.holdfast_oidc_issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
        except jwt.PyJWTError:
            return None
        except ProviderUnreachable as error:
            raise unavailable("The identity provider's keys could not be read. Send the request again.") from error
        return claims if claims["sub"] else None

    def _role(self, claims: dict[str, Any]) -> Role:
        """The role that the claim names. A claim with several of our roles is ambiguous, and refused."""
        claim = _claim(claims, self._settings.holdfast_oidc_role_claim)
        names = claim if isinstance(claim, list) else [claim]
        roles = {role for name, role in self._settings.roles.items() if name in names}
        if len(roles) != 1:
            raise Problem(
                Kind.WRONG_ROLE,
                f"The token's {self._settings.holdfast_oidc_role_claim} must name one of: "
                f"{', '.join(self._settings.roles)}.",
            )
        return roles.pop()

    async def _ensure_row(self, role: SignUpRole, caller: Caller, claims: dict[str, Any]) -> None:
        """Raises the 403 `Problem` for a closed account."""
        async with self._database.reading() as session:
            account = await queries.account(session, caller.id)
        if account is None:
            await self._add_person(role, _person(role, caller.id, claims), caller.actor)
        elif account.is_closed:
            raise Problem(Kind.NO_ACCOUNT, "The account has been closed for good.")
        elif role not in account.roles:
            async with self._database.writing() as session:
                action, now = "person.introduced", datetime.now(UTC)
                await queries.add_role(session, role, account.person, action, caller.actor, now)
        if account is None or account.student is None or account.student.email_verified_at is not None:
            return
        if email := _verified_email(claims):
            async with self._database.writing() as session:
                await queries.mark_verified(session, caller.id, email, datetime.now(UTC))

    async def _add_person(self, role: SignUpRole, person: Student | Instructor, actor: Actor) -> None:
        async with self._database.writing() as session:
            if not await queries.add_person(session, role, person, "person.introduced", actor):
                # Accounts are never linked by address: the provider's user with this address may be another person.
                raise Problem(Kind.NO_ACCOUNT, "Another account has the token's address. Contact support.")


def _person(role: SignUpRole, id: UUID, claims: dict[str, Any]) -> Student | Instructor:
    try:
        email = address(str(claims.get("email", "")))
    except ValueError as error:
        raise Problem(Kind.NO_ACCOUNT, "The token must have the person's address in `email`.") from error
    if claims.get("email_verified") is False:
        raise Problem(Kind.NO_ACCOUNT, "Verify your address with the identity provider, and sign in again.")
    person = queries.TABLES[role](
        id=id,
        email=email,
        name=_valid(Name, claims.get("name")) or email.partition("@")[0],
        time_zone=_valid(TimeZone, claims.get("zoneinfo")) or "UTC",
        language=_valid(Language, claims.get("locale")) or "en",
        created_at=datetime.now(UTC),
    )
    if isinstance(person, Student) and _verified_email(claims):
        person.email_verified_at = person.created_at
    return person


def _claim(claims: dict[str, Any], name: str) -> object:
    """By name, or by a dotted path (`realm_access.roles`)."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _valid(kind: Any, claim: object) -> str | None:
    """The claim if sign-up would take it, else `None`."""
    try:
        value: str = TypeAdapter(kind).validate_python(claim, strict=True)
    except ValidationError:
        return None
    return value


def _verified_email(claims: dict[str, Any]) -> str | None:
    """The address that the provider vouches for."""
    if claims.get("email_verified") is not True:
        return None
    try:
        return address(str(claims.get("email", "")))
    except ValueError:
        return None
