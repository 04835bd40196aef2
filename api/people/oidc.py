"""Tokens of an OpenID Connect identity provider in place of our own: RS256 or ES256, verified with its published keys.

Sources: OpenID Connect Core 1.0 (ID token validation), Discovery 1.0, RFC 7517 (JWK), RFC 8725 (JWT best practices).
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import jwt
from sqlmodel import select

from api.http.auth import Caller, is_suspended
from api.http.database import Database
from api.http.problems import Kind, Problem, unavailable
from api.people import queries
from api.people.schemas import TIME_ZONES, address
from api.settings import IdentitySettings
from models.domain.actors import Role, SignUpRole
from models.domain.ids import person_id

_ALGORITHMS = ["RS256", "ES256"]
_REQUIRED = ["iss", "sub", "aud", "exp", "iat"]
_LEEWAY_SECONDS = 30
_PEOPLE_CACHED = 10_000

log = logging.getLogger("holdfast.api")


class ProviderUnreachable(Exception):
    """The provider's keys cannot be fetched, and none are cached."""


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
            url = self._settings.holdfast_oidc_jwks_url or await self._discover(client)
            response = (await client.get(str(url))).raise_for_status()
        signing = [key for key in response.json()["keys"] if key.get("use", "sig") == "sig"]
        return {key.key_id: key for key in jwt.PyJWKSet.from_dict({"keys": signing}).keys}

    async def _discover(self, client: httpx.AsyncClient) -> str:
        issuer = self._settings.holdfast_oidc_issuer
        assert issuer is not None
        response = await client.get(issuer.rstrip("/") + "/.well-known/openid-configuration")
        metadata = response.raise_for_status().json()
        if metadata["issuer"] != issuer:
            raise ValueError("another issuer")
        url: str = metadata["jwks_uri"]
        return url


@dataclass(frozen=True)
class _Person:
    role: SignUpRole
    id: UUID


class IdentityProvider:
    """Identifies people by issuer and subject. A student's or instructor's row is created with their first request."""

    def __init__(self, settings: IdentitySettings, database: Database, keys: PublishedKeys | None = None) -> None:
        self._settings = settings
        self._database = database
        self._keys = keys or PublishedKeys(settings)
        self._known: OrderedDict[_Person, None] = OrderedDict()

    async def caller(self, token: str) -> Caller | None:
        """Raises the 403 `Problem` for a valid token whose person cannot use the API, the 503 one without any keys."""
        claims = await self._claims(token)
        if claims is None:
            return None
        role = self._role(claims)
        caller = Caller(role=role, id=person_id(claims["iss"], claims["sub"]))
        if role is not Role.OPERATOR:
            await self._ensure_row(_Person(SignUpRole(role.value), caller.id), claims)
            async with self._database.reading() as session:
                if (await session.exec(select(is_suspended(caller.id)))).one():
                    raise Problem(Kind.ACCOUNT_SUSPENDED, "Ask the platform's support.")
        return caller

    async def _claims(self, token: str) -> dict[str, Any] | None:
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
                audience=self._settings.holdfast_oidc_audience,
                issuer=self._settings.holdfast_oidc_issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
        except jwt.PyJWTError:
            return None
        except ProviderUnreachable as error:
            raise unavailable("The identity provider's keys cannot be had.") from error
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

    async def _ensure_row(self, person: _Person, claims: dict[str, Any]) -> None:
        if person in self._known:
            self._known.move_to_end(person)
            return
        async with self._database.reading() as session:
            is_known = await session.get(queries.TABLES[person.role], person.id) is not None
        if not is_known:
            await self._create_row(person, claims)
        self._known[person] = None
        if len(self._known) > _PEOPLE_CACHED:
            self._known.popitem(last=False)

    async def _create_row(self, person: _Person, claims: dict[str, Any]) -> None:
        try:
            email = address(str(claims.get("email", "")))
        except ValueError as error:
            raise Problem(Kind.NO_ACCOUNT, "The token must carry the person's address in `email`.") from error
        if claims.get("email_verified") is False:
            raise Problem(Kind.NO_ACCOUNT, "The identity provider has not verified the address.")
        zone = claims.get("zoneinfo")
        row = queries.TABLES[person.role](
            id=person.id,
            email=email,
            name=_name(claims) or email.partition("@")[0],
            time_zone=zone if isinstance(zone, str) and zone in TIME_ZONES else "UTC",
            created_at=datetime.now(UTC),
        )
        async with self._database.writing() as session:
            if not await queries.add_person(session, person.role, row, "person.introduced"):
                # Accounts are never linked by address: the provider's user with this address may be another person.
                raise Problem(Kind.NO_ACCOUNT, "The token's address belongs to another account here.")


def _claim(claims: dict[str, Any], name: str) -> object:
    """By name, or by a dotted path (`realm_access.roles`)."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _name(claims: dict[str, Any]) -> str:
    name = claims.get("name")
    if not isinstance(name, str):
        return ""
    return "".join(character for character in name if character.isprintable()).strip()[:200]
