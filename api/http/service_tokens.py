"""Service tokens: how they are made, and who a request with one comes from.

The token is an HMAC of its id under the API's own secret, so a repeated request to create it gets the same one. Only a
hash is stored: the database alone does not reveal it, and the secret alone does not make one that is valid.
"""

import base64
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Mapped
from sqlmodel import col, exists, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.auth import Caller, TokenVerifier, is_suspended, signing_keys
from api.http.database import Database
from models.domain.scopes import Scope
from models.tables.credentials import token_hash
from models.tables.operators import Operator
from models.tables.people import Instructor, Student
from models.tables.service_tokens import ServiceToken

PREFIX = "hft_"
"""Tells a service token from a JWT, and lets scanners for leaked secrets find one."""


def create_token(secret: SecretStr, id: UUID) -> str:
    key = signing_keys(secret.get_secret_value())[0]
    digest = hmac.digest(key.encode(), b"holdfast service token " + id.bytes, "sha256")
    return PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")


class ServiceTokenVerifier:
    """Verifies service tokens, and leaves all others to `people`'s."""

    def __init__(self, people: TokenVerifier, database: Database) -> None:
        self._people = people
        self._database = database

    async def caller(self, token: str) -> Caller | None:
        if not token.startswith(PREFIX):
            return await self._people.caller(token)
        person_id = col(ServiceToken.person_id)
        is_valid = (
            col(ServiceToken.token_hash) == token_hash(token),
            col(ServiceToken.revoked_at).is_(None),
            col(ServiceToken.expires_at) > datetime.now(UTC),
            ~is_suspended(person_id),
            ~_is_gone(person_id),
        )
        async with self._database.reading() as session:
            found = (await session.exec(select(ServiceToken).where(*is_valid))).first()
        if found is None:
            return None
        scopes = frozenset(Scope(scope) for scope in found.scopes)
        return Caller(role=found.role, id=found.person_id, token_id=found.id, scopes=scopes)


def _is_gone(person_id: Mapped[UUID]) -> ColumnElement[bool]:
    """Whether the operator is revoked, or the account closed, as an SQL condition."""
    return or_(
        exists().where(col(Operator.id) == person_id, col(Operator.revoked_at).is_not(None)),
        *(
            exists().where(col(table.id) == person_id, col(table.closed_at).is_not(None))
            for table in (Student, Instructor)
        ),
    )


async def revoke_service_tokens(session: AsyncSession, person_id: UUID, now: datetime) -> Sequence[UUID]:
    """Revoke all service tokens of a person: someone else may have created them."""
    is_open = (col(ServiceToken.person_id) == person_id, col(ServiceToken.revoked_at).is_(None))
    revoked = await session.exec(
        update(ServiceToken).where(*is_open).values(revoked_at=now).returning(col(ServiceToken.id))
    )
    return [id for (id,) in revoked]
