"""Service tokens: a person creates them for programs that act for them, lists them, and revokes them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints
from sqlalchemy import tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.catalogue.schemas import RequestedPrice
from api.http import pagination
from api.http.auth import AsAnyRole, Caller
from api.http.database import WithDatabase
from api.http.idempotency import OptionalKey, register
from api.http.pagination import PageParams
from api.http.problems import Kind, Problem, problem_responses
from api.http.schema_types import RequestModel, RequestTime, ResponseModel
from api.http.service_tokens import create_token
from api.settings import WithSettings
from models.domain import ids
from models.domain.actors import Role, Subject
from models.domain.money import Money
from models.domain.scopes import GRANTABLE, Scope
from models.tables.audit import event_about
from models.tables.credentials import token_hash
from models.tables.service_tokens import ServiceToken

router = APIRouter(prefix="/v1/service-tokens", tags=["service tokens"])

_ERRORS = (Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE)
_LASTS = timedelta(days=90)
_LASTS_AT_MOST = timedelta(days=366)


class NewServiceToken(RequestModel):
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
    """What the token is for."""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    """What a program may do with it. It can never do more than you."""
    expires_at: RequestTime | None = None
    """At most 366 days ahead; 90 days if omitted."""
    spend_limit: RequestedPrice | None = None
    """The most that its bookings may cost in total. What is returned to you counts no longer."""


class ServiceTokenDetails(ResponseModel):
    id: UUID
    """The token's id. The audit trail names it."""
    name: str
    """What the token is for."""
    scopes: list[Scope]
    """What a program may do with it."""
    spend_limit: Money | None
    """The most that its bookings may cost in total; `null` for no limit."""
    created_at: datetime
    """When it was created."""
    expires_at: datetime
    """When it ends."""
    revoked_at: datetime | None
    """When it was revoked."""


class ServiceTokenCreated(ServiceTokenDetails):
    token: str
    """Send it as `Authorization: Bearer …`. It is not shown again."""


class ServiceTokenPage(ResponseModel):
    data: list[ServiceTokenDetails]
    """Newest first."""
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""


@router.post(
    "",
    operation_id="createServiceToken",
    status_code=201,
    responses=problem_responses(
        *_ERRORS, Kind.NO_ACCOUNT, Kind.IDEMPOTENCY_KEY_REQUIRED, Kind.IDEMPOTENCY_KEY_REUSED, Kind.CONTENT_TOO_LARGE
    ),
)
async def create_service_token(
    new: NewServiceToken,
    caller: AsAnyRole,
    response: Response,
    database: WithDatabase,
    settings: WithSettings,
    key: OptionalKey = None,
) -> ServiceTokenCreated:
    """Create a token for a program that acts for you, in your present role."""
    now = datetime.now(UTC)
    _check(new, caller.role, now)
    id = ids.creation_id(caller.id, "service token", key) if key else uuid4()
    token = create_token(settings.http.holdfast_token_secret, id)
    row = ServiceToken(
        id=id,
        token_hash=token_hash(token),
        person_id=caller.id,
        role=caller.role,
        name=new.name,
        scopes=sorted(new.scopes),
        spend_limit_minor=new.spend_limit.amount_minor if new.spend_limit else None,
        spend_limit_currency=new.spend_limit.currency if new.spend_limit else None,
        created_at=now,
        expires_at=new.expires_at or now + _LASTS,
    )
    async with database.writing() as session:
        if not key or await register(session, id, new, now):
            session.add(row)
            _audit(session, caller, row, "service_token_created", now)
        else:
            row = await session.get_one(ServiceToken, id)
    response.headers["Cache-Control"] = "no-store"
    return ServiceTokenCreated(token=token, **_details(row).model_dump())


def _check(new: NewServiceToken, role: Role, now: datetime) -> None:
    """Raises the 422 `Problem`."""
    wrong = []
    if beyond := set(new.scopes) - GRANTABLE[role]:
        why = f"Not for your role: {', '.join(sorted(beyond))}. There are: {', '.join(sorted(GRANTABLE[role]))}."
        wrong.append({"where": "body/scopes", "why": why})
    if new.expires_at and not now < new.expires_at <= now + _LASTS_AT_MOST:
        wrong.append({"where": "body/expires_at", "why": "Must be in the future, and at most 366 days ahead."})
    if new.spend_limit and role is not Role.STUDENT:
        wrong.append({"where": "body/spend_limit", "why": "Only students pay."})
    if wrong:
        raise Problem(Kind.REQUEST_INVALID, errors=wrong)


@router.get("", operation_id="listServiceTokens", responses=problem_responses(Kind.CURSOR_UNKNOWN, *_ERRORS))
async def list_service_tokens(caller: AsAnyRole, page: PageParams, database: WithDatabase) -> ServiceTokenPage:
    """Your service tokens, revoked and expired ones included."""
    order = (col(ServiceToken.created_at), col(ServiceToken.id))
    query = select(ServiceToken).where(col(ServiceToken.person_id) == caller.id)
    query = query.order_by(*(column.desc() for column in order)).limit(page.limit + 1)
    if page.after is not None:
        query = query.where(tuple_(*order) < (page.after.at, page.after.id))
    async with database.reading() as session:
        found = list(await session.exec(query))
    return ServiceTokenPage(
        data=[_details(row) for row in found[: page.limit]],
        next_cursor=pagination.next_cursor(found, page.limit, lambda last: (last.created_at, last.id)),
    )


@router.delete(
    "/{token_id}",
    operation_id="revokeServiceToken",
    status_code=204,
    responses=problem_responses(*_ERRORS, Kind.NOT_FOUND),
)
async def revoke_service_token(token_id: UUID, caller: AsAnyRole, database: WithDatabase) -> None:
    """Revoke a service token. It ends at once, and what was booked with it stays."""
    now = datetime.now(UTC)
    async with database.writing() as session:
        row = await session.get(ServiceToken, token_id, with_for_update=True)
        if row is None or row.person_id != caller.id:
            raise Problem(Kind.NOT_FOUND, "There is no such token.")
        if row.revoked_at is None:
            row.revoked_at = now
            _audit(session, caller, row, "service_token_revoked", now)


def _audit(session: AsyncSession, caller: Caller, row: ServiceToken, what: str, now: datetime) -> None:
    subject = Subject.OPERATOR if caller.role is Role.OPERATOR else Subject.PERSON
    detail = {"token_id": str(row.id), "scopes": row.scopes}
    event = event_about(
        subject, caller.id, f"{subject}.{what}", caller.actor, caller.channel, now, detail, occasion=str(row.id)
    )
    session.add(event)


def _details(row: ServiceToken) -> ServiceTokenDetails:
    limit = None
    if row.spend_limit_minor is not None and row.spend_limit_currency is not None:
        limit = Money(amount_minor=row.spend_limit_minor, currency=row.spend_limit_currency)
    return ServiceTokenDetails(
        id=row.id,
        name=row.name,
        scopes=[Scope(scope) for scope in row.scopes],
        spend_limit=limit,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
